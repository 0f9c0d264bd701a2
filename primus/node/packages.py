"""Which packages the ranks' own interpreter has: asked of it while the ranks are already starting."""

import itertools
import json
import os
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from primus.node.loop import Loop
from primus.node.sidecar import Sidecar

# Names and versions from the folder names of installed distributions (PEP 376, `torch-2.13.0.dist-info`): reading the
# metadata of 200 packages takes a second on a network file system, listing their folder a moment. Any Python 3 runs it.
QUESTION = """
import json, os, sys
found = {}
for folder in sys.path:
    for name in os.listdir(folder) if folder and os.access(folder, os.R_OK) and os.path.isdir(folder) else ():
        stem, _, kind = name.rpartition(".")
        if kind in ("dist-info", "egg-info") and "-" in stem:
            package, _, version = stem.partition("-")
            found.setdefault(package.replace("_", "-").lower(), version.split("-py")[0])
print(json.dumps({"executable": sys.executable, "version": sys.version.split()[0], "packages": found}))
"""


def ask_packages(
    loop: Loop,
    command: Sequence[str],
    environ: Mapping[str, str],
    directory: str,
    answer: Callable[[Dict[str, Any]], None],
) -> Optional[Sidecar]:
    """Call `answer` with {executable, version, packages: {name: version}} once the interpreter has told.

    Names are lower case with hyphens. None when the command is no Python or cannot be started: then nothing is asked.
    """
    if not os.path.basename(command[0]).startswith("python"):
        return None

    def line(text: str) -> None:
        try:
            told = json.loads(text)
        except ValueError:
            return
        if isinstance(told, dict) and "packages" in told:
            answer(told)

    try:
        return Sidecar(loop, [*interpreter(command), "-c", QUESTION], line, lambda: None, environ, directory)
    except OSError:
        return None  # the ranks' own start says what is wrong


def interpreter(command: Sequence[str]) -> List[str]:
    """The interpreter of a command, with those of its options by which it finds packages. Pure."""
    options = itertools.takewhile(lambda word: re.fullmatch("-[BEIPSbdqsuv]+", word), command[1:])
    return [command[0], *(word for word in options if set(word) & set("EIPSs"))]
