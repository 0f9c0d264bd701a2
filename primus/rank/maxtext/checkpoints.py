"""What a start begins with: nothing, this run's newest checkpoint, or the weights of another."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.rank import checkpoints
from primus.rank.problems import Refused

_STATE = "items"  # MaxText's name for weights and optimizer in a checkpoint


@dataclass(frozen=True)
class Start:
    """`step`: how many steps are done; `weights`: the folder that MaxText takes weights alone from, or empty.

    `resumed`: whether this run's folder holds a checkpoint to go on from.
    """

    step: int
    weights: str
    resumed: bool


def start(rank: dict[str, Any]) -> Start:
    """Look for checkpoints. Raises Refused when `checkpoint.load` names none."""
    own = newest(checkpoints.directory(rank))
    load = rank["checkpoint"]["load"]
    if own is not None and not rank["evaluation"]["only"]:
        _check_ranks(own)
        return Start(_steps(own), "", resumed=True)
    if load is None:
        return Start(0, "", resumed=False)
    found = _named(Path(load).expanduser().resolve())
    return Start(_steps(found) if rank["evaluation"]["only"] else 0, str(found / _STATE), resumed=False)


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint of a folder. Orbax writes one under another name and renames it when it is whole.

    MaxText names a checkpoint by the number, from 0, of the step that it was written after.
    """
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdigit() and (path / _STATE).is_dir()]
    return folder / str(max(numbers)) if numbers else None


def _check_ranks(checkpoint: Path) -> None:
    """Every rank has its own place in the data. Upstream: maxtext 0.2.5, `for_restore` in common/grain_utility.py."""
    written, world = len(list((checkpoint / "iter").glob("process_*-of-*.json"))), int(os.environ["WORLD_SIZE"])
    if written != world:
        raise Refused(
            f"{checkpoint} was written by {written} ranks, and there are {world} now: their places in the data cannot "
            "be dealt out anew. Begin a run of its own with its weights: task.checkpoint.load"
        )


def _steps(checkpoint: Path) -> int:
    return int(checkpoint.name) + 1 if checkpoint.name.isdigit() else 0


def _named(path: Path) -> Path:
    if (path / _STATE).is_dir():
        return path
    found = newest(path / "checkpoints") or newest(path)
    if found is None:
        raise Refused(f"checkpoint.load: {path} is no checkpoint of MaxText, and holds none that is complete")
    return found
