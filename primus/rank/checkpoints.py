"""Where the checkpoints of a run are. Standard library alone."""

import os
from pathlib import Path
from typing import Any


def directory(rank: dict[str, Any]) -> Path:
    """The folder of this run's checkpoints: as `checkpoint` of rank.json says, else in the run directory."""
    given = rank["checkpoint"]["directory"]
    return Path(given).expanduser().resolve() if given else Path(os.environ["PRIMUS_RUN_DIR"]) / "checkpoints"
