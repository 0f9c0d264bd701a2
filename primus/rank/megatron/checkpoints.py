"""Which of Megatron's checkpoints are complete, where to go on from, and which to keep.

A checkpoint is a folder `iter_0000010`, a distributed one of Megatron's (`torch_dist`). Megatron writes its
`metadata.json` last, when every rank has written its part (`save` in core/dist_checkpointing/serialization.py), and
then, beside the folders, which one is the latest.
"""

import functools
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from primus.rank.problems import Refused
from primus.rank.progress import beat

TRACKER = "latest_checkpointed_iteration.txt"
MARKER = "metadata.json"
_FOLDER = re.compile(r"iter_(\d{7,})")


def state(rank: dict[str, Any], own: Path, loaded: Path) -> dict[str, Any]:
    """Megatron's arguments about checkpoints, once the trackers say the truth.

    `own` is the folder of this run's checkpoints: training goes on from the newest complete one, else begins with the
    weights of `checkpoint.load`, which Megatron is shown in the folder `loaded`. Raises Refused when that has none.
    """
    settings, only = rank["checkpoint"], rank["evaluation"]["only"]
    first = os.environ["RANK"] == "0"
    arguments: dict[str, Any] = {}
    if settings["load"]:
        folder = newest_of(Path(settings["load"]).expanduser())
        if first:
            _show(folder, loaded)
        arguments["pretrained_checkpoint"] = str(loaded)
    if only:
        if not settings["load"]:
            raise Refused("task.checkpoint.load: there is no checkpoint to evaluate")
        return {"load": str(loaded), "skip_train": True, "no_load_rng": True, "exit_on_missing_checkpoint": True}
    if first:
        _repair(own)
    arguments["load"] = str(own)  # without a tracker, Megatron begins anew
    if settings["interval"]:
        arguments |= {"save": str(own), "save_interval": settings["interval"]}
    return arguments


def complete(folder: Path) -> dict[int, Path]:
    """The complete checkpoints in a folder by their step, the oldest first."""
    found = {}
    for path in folder.glob("iter_*"):
        name = _FOLDER.fullmatch(path.name)
        if name and _is_complete(path):
            found[int(name[1])] = path
    return dict(sorted(found.items()))


def newest_of(path: Path) -> Path:
    """The checkpoint that a path means: a folder of one, of several or of a run. Raises Refused without one."""
    if _is_complete(path) and _FOLDER.fullmatch(path.name):
        return path
    for folder in (path, path / "checkpoints"):
        found = complete(folder)
        if found:
            return found[max(found)]
    raise Refused(f"task.checkpoint.load: {path} is no complete checkpoint of Megatron's and holds none")


def prune(folder: Path, keep: int) -> None:
    """Remove all complete checkpoints but the newest `keep` (0: none is removed), and what is older and incomplete.

    The marker goes first: a checkpoint whose removal is broken off is incomplete.
    """
    kept = list(complete(folder))[-keep:]
    if not keep or not kept:
        return
    for path in folder.glob("iter_*"):
        name = _FOLDER.fullmatch(path.name)
        if name and int(name[1]) < kept[0]:
            (path / MARKER).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


class Saving:
    """Wraps `save_checkpoint_and_time` of `megatron.training.training`."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        self.last: int | None = None  # the step that was saved last, by this start

    def install(self) -> None:
        """For good: a rank trains once."""
        from megatron.training import get_args, training

        save_checkpoint_and_time = training.save_checkpoint_and_time

        @functools.wraps(save_checkpoint_and_time)
        def save(step: int, *rest: Any, **named: Any) -> None:
            if step == get_args().iteration:
                return  # it came from there, and is not to be written over
            beat(f"saving the checkpoint of step {step}")
            save_checkpoint_and_time(step, *rest, **named)
            beat(f"after the checkpoint of step {step}")
            self.last = step
            if get_args().rank == 0:
                prune(self._folder, self._keep)

        training.save_checkpoint_and_time = save


def _is_complete(path: Path) -> bool:
    try:
        json.loads((path / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _show(checkpoint: Path, folder: Path) -> None:
    """A folder with this checkpoint alone, for Megatron takes the latest of a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / checkpoint.name).symlink_to(checkpoint.resolve(), target_is_directory=True)
    _point(folder, checkpoint)


def _repair(folder: Path) -> None:
    """Let the tracker name the newest complete checkpoint, whatever was being written when a rank was killed."""
    found = complete(folder)
    if found:
        _point(folder, found[max(found)])
    else:
        (folder / TRACKER).unlink(missing_ok=True)


def _point(folder: Path, checkpoint: Path) -> None:
    name = _FOLDER.fullmatch(checkpoint.name)
    assert name
    partial = folder / f"{TRACKER}.partial"
    partial.write_text(str(int(name[1])), encoding="utf-8")
    partial.replace(folder / TRACKER)
