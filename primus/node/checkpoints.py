"""Which checkpoints of a backend a folder holds, by what lies there; no framework is needed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

FOLDER = "checkpoints"
"""In the run directory, where `task.checkpoint.directory` names no other."""

# Names of folders, the file that is written when all others are there, and the number of the checkpoint of step 1.
KINDS = {
    "torchtitan": (re.compile(r"step-(\d+)"), ".metadata", 1),
    "megatron": (re.compile(r"iter_(\d{7,})"), "metadata.json", 1),
    "maxtext": (re.compile(r"(\d+)"), "_CHECKPOINT_METADATA", 0),
}


@dataclass(frozen=True)
class Checkpoint:
    """One that is there; `step` is how many steps were done when it was written."""

    step: int
    path: Path


@dataclass(frozen=True)
class Judged:
    """The newest complete checkpoint of a folder; None: there is none."""

    whole: Optional[Checkpoint]


def judged(folder: Path, backend: str) -> Judged:
    """The newest complete checkpoint, by names."""
    name, marker, first = KINDS[backend]
    found = [(name.fullmatch(path.name), path) for path in folder.glob("*") if (path / marker).is_file()]
    whole = [Checkpoint(int(match[1]) + 1 - first, path) for match, path in found if match]
    return Judged(max(whole, key=lambda one: one.step, default=None))
