"""What a start begins with: nothing, this run's newest checkpoint, or the weights of another."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.rank import checkpoints
from primus.rank.problems import Refused

BACKEND = "maxtext"
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
    """Look for checkpoints. Raises Refused when `checkpoint.load` names none, or those of this run are damaged."""
    own = checkpoints.own(rank, BACKEND)
    if own:
        _check_ranks(own.path)
        return Start(own.step, "", resumed=True)
    found = checkpoints.given(rank, BACKEND)
    if found is None:
        return Start(0, "", resumed=False)
    return Start(found.step if rank["evaluation"]["only"] else 0, str(found.path / _STATE), resumed=False)


def _check_ranks(checkpoint: Path) -> None:
    """Every rank has its own place in the data. Upstream: maxtext 0.2.5, `for_restore` in common/grain_utility.py."""
    written, world = len(list((checkpoint / "iter").glob("process_*-of-*.json"))), int(os.environ["WORLD_SIZE"])
    if written != world:
        raise Refused(
            f"{checkpoint} was written by {written} ranks, and there are {world} now: their places in the data cannot "
            "be dealt out anew. Begin a run of its own with its weights: task.checkpoint.load"
        )
