"""Which checkpoints of a backend a folder holds, and which of them are whole, by what lies there. No framework is
needed: a launcher, an agent and a rank judge by the same rule. What is not whole is passed over, and never removed.

A checkpoint whose marker was never written is unfinished: its ranks were ended while they wrote it. One that was
finished, and lacks files or parts of them now, is damaged.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Pattern, Tuple

from primus.node import dcp, manifest

FOLDER = "checkpoints"
"""In the run directory, where `task.checkpoint.directory` names no other."""
PASSED_OVER = "passed-over"
"""Beside the checkpoints: those which stood in the way of going on from an older one."""


@dataclass(frozen=True)
class Kind:
    """The checkpoints of a backend: `name` of their folders with a number in it, `marker` the file that is written
    when all others are there, `first` the number of the checkpoint of step 1."""

    name: Pattern[str]
    marker: str
    first: int = 1


KINDS = {
    # PyTorch renames its metadata from `.metadata.tmp` when all ranks have written (filesystem.py, torch 2.13).
    "torchtitan": Kind(re.compile(r"step-(\d+)"), dcp.METADATA),
    # The last step of `save` in megatron/core/dist_checkpointing/serialization.py, 0.19.2.
    "megatron": Kind(re.compile(r"iter_(\d{7,})"), "metadata.json"),
    # Orbax writes under `9.orbax-checkpoint-tmp` and renames (orbax/checkpoint/_src/path/atomicity.py, 0.12.8); MaxText
    # names a checkpoint by the number, from 0, of the step after which it was written.
    "maxtext": Kind(re.compile(r"(\d+)(?:\.orbax-checkpoint-tmp.*)?"), "_CHECKPOINT_METADATA", first=0),
}


@dataclass(frozen=True)
class Checkpoint:
    """One that is there; `step` is how many steps were done when it was written."""

    step: int
    path: Path
    finished: bool


@dataclass(frozen=True)
class PassedOver:
    """One that is not whole, and why."""

    checkpoint: Checkpoint
    why: str

    def __str__(self) -> str:
        return f"{self.checkpoint.path.name}: {self.why}"


@dataclass(frozen=True)
class Judged:
    """The newest whole checkpoint of a folder (None: there is none), and the newer ones that are passed over."""

    whole: Optional[Checkpoint]
    passed: Tuple[PassedOver, ...]

    @property
    def damaged(self) -> Tuple[PassedOver, ...]:
        """Those that were whole once."""
        return tuple(passed for passed in self.passed if passed.checkpoint.finished)


def there(folder: Path, backend: str) -> List[Checkpoint]:
    """All checkpoints in a folder, whole or not, the newest first."""
    kind, found = KINDS[backend], []
    for path in folder.glob("*"):
        name = kind.name.fullmatch(path.name)
        if name and path.is_dir():
            finished = path.name.endswith(name[1]) and _was_finished(path, kind)
            found.append(Checkpoint(int(name[1]) + 1 - kind.first, path, finished))
    return sorted(found, key=lambda one: (one.step, one.finished), reverse=True)


def judged(folder: Path, backend: str, known: Optional[Dict[Path, str]] = None) -> Judged:
    """The newest whole checkpoint, by names and sizes: quick, whatever its size. `known`: what is wrong with some."""
    passed: List[PassedOver] = []
    for checkpoint in there(folder, backend):
        why = (known or {}).get(checkpoint.path) or problem(checkpoint.path, backend)
        if why is None:
            return Judged(checkpoint, tuple(passed))
        passed.append(PassedOver(checkpoint, why))
    return Judged(None, tuple(passed))


def problem(checkpoint: Path, backend: str) -> Optional[str]:
    """Why this checkpoint is not whole; None where all of its files are there, as large as they were."""
    kind = KINDS[backend]
    if not _was_finished(checkpoint, kind) or not _at_its_place(checkpoint, kind):
        return f"it was not written to its end (there is no {kind.marker})"
    if not (checkpoint / kind.marker).is_file():
        return f"{kind.marker} is missing"
    try:
        parts = manifest.read(checkpoint)
        if kind.marker != dcp.METADATA:
            _parse(checkpoint / kind.marker)
        sizes = {name: size for part in parts for name, (size, _) in part.files.items()}
        if not manifest.complete(parts) and backend != "maxtext":
            sizes = {**dcp.least_sizes(checkpoint), **sizes}
    except ValueError as error:
        return str(error)
    return manifest.misfit(checkpoint, sizes)


def step_of(checkpoint: Path, backend: str) -> Optional[int]:
    """The step that the name of a checkpoint's folder says; None for a folder of another name."""
    kind = KINDS[backend]
    name = kind.name.fullmatch(checkpoint.name)
    return int(name[1]) + 1 - kind.first if name else None


def is_one(path: Path, backend: str) -> bool:
    """Whether a folder is a finished checkpoint itself, whatever its name, and not a folder of some."""
    return _was_finished(path, KINDS[backend])


def refusal(key: str, folder: Path, passed: Tuple[PassedOver, ...]) -> str:
    """What to say where no checkpoint of a folder is whole."""
    reasons = "; ".join(str(one) for one in passed) or "there is none"
    return f"{key}: {folder} holds no complete checkpoint: {reasons}"


def _was_finished(path: Path, kind: Kind) -> bool:
    return (path / kind.marker).is_file() or manifest.there(path)


def _at_its_place(path: Path, kind: Kind) -> bool:
    """Whether Orbax has given it its name."""
    name = kind.name.fullmatch(path.name)
    return not name or path.name.endswith(name[1])


def _parse(path: Path) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} cannot be read")
