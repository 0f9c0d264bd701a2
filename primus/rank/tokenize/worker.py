"""One rank of `task=data/tokenize`."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from primus.node.typed import read
from primus.rank.problems import UNFIT, Refused


def run(rank: dict[str, Any]) -> None:
    """Do this rank's part. Raises Refused for what the user can mend: files, lines, tokens, packages, a full disk."""
    for package in ("numpy", "tokenizers"):
        if importlib.util.find_spec(package) is None:
            raise Refused(
                f"{sys.executable} cannot import {package}. Mend it with: pip install 'primus[tokenize]'", UNFIT
            )
    from primus.rank.tokenize import parts

    job = read(parts.Job, rank)
    number, ranks, directory = (
        int(os.environ["RANK"]),
        int(os.environ["WORLD_SIZE"]),
        Path(os.environ["PRIMUS_RUN_DIR"]),
    )
    try:
        if number == 0:
            parts.lead(job, ranks, directory)
        else:
            parts.help(job, number, ranks, directory)
    except OSError as error:
        raise Refused(f"{error.filename or job.output}: {error.strerror}", UNFIT) from error
