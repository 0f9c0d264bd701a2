"""Where Megatron goes on from, and which of its checkpoints to keep.

A checkpoint is a folder `iter_0000010`, a distributed one of Megatron's (`torch_dist`); beside the folders a tracker
names the latest, whether it is whole or not.
"""

import functools
import os
import shutil
from pathlib import Path
from typing import Any

from primus.node import checkpoints as places
from primus.node.checkpoints import Checkpoint
from primus.rank import checkpoints
from primus.rank.problems import Refused
from primus.rank.progress import beat
from primus.rank.saved import Saved

BACKEND = "megatron"
TRACKER = "latest_checkpointed_iteration.txt"


def state(rank: dict[str, Any], own: Path, loaded: Path) -> dict[str, Any]:
    """Megatron's arguments about checkpoints, once the trackers say the truth.

    `own` is the folder of this run's checkpoints: training goes on from the newest whole one, else begins with the
    weights of `checkpoint.load`, which Megatron is shown in the folder `loaded`. Raises Refused when that has none.
    """
    settings, only = rank["checkpoint"], rank["evaluation"]["only"]
    first = os.environ["RANK"] == "0"
    arguments: dict[str, Any] = {}
    newest = checkpoints.own(rank, BACKEND)
    given = None if newest else checkpoints.given(rank, BACKEND)
    if given:
        if first:
            _show(given.path, loaded)
        arguments["pretrained_checkpoint"] = str(loaded)
    if only:
        if not given:
            raise Refused("task.checkpoint.load: there is no checkpoint to evaluate")
        return {"load": str(loaded), "skip_train": True, "no_load_rng": True, "exit_on_missing_checkpoint": True}
    if first:
        _track(own, newest)
    arguments["load"] = str(own)  # without a tracker, Megatron begins anew
    if settings["interval"]:
        arguments |= {"save": str(own), "save_interval": settings["interval"]}
    return arguments


class Saving:
    """Wraps `save_checkpoint_and_time` of `megatron.training.training`."""

    def __init__(self, folder: Path, keep: int, saved: Saved | None) -> None:
        self._folder = folder
        self._keep = keep
        self._saved = saved
        self.last: int | None = None  # the step that was saved last, by this start

    def install(self) -> None:
        """For good: a rank trains once."""
        from megatron.training import get_args, training

        save_checkpoint_and_time = training.save_checkpoint_and_time

        @functools.wraps(save_checkpoint_and_time)
        def save(step: int, *rest: Any, **named: Any) -> None:
            if step == get_args().iteration:
                return  # it came from there, and is not to be written over
            path = self._folder / f"iter_{step:07}"
            beat(f"saving the checkpoint of step {step}")
            if self._saved:
                self._saved.wait()
            try:
                save_checkpoint_and_time(step, *rest, **named)
            except BaseException as error:  # as PyTorch's CheckpointException is
                checkpoints.refuse_full_disk(error, path)
                raise
            beat(f"after the checkpoint of step {step}")
            self.last = step
            if self._saved:
                self._saved.note(path)
            if get_args().rank == 0:
                for surplus in checkpoints.retire(self._folder, BACKEND, self._keep):
                    shutil.rmtree(surplus, ignore_errors=True)

        training.save_checkpoint_and_time = save


def _show(checkpoint: Path, folder: Path) -> None:
    """A folder with this checkpoint alone, for Megatron takes the latest of a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shown = Checkpoint(places.step_of(checkpoint, BACKEND) or 0, folder / checkpoint.name, finished=True)
    shown.path.symlink_to(checkpoint, target_is_directory=True)
    _track(folder, shown)


def _track(folder: Path, newest: Checkpoint | None) -> None:
    """Let the tracker name this one, whatever was being written when a rank was killed."""
    if newest is None:
        (folder / TRACKER).unlink(missing_ok=True)
        return
    partial = folder / f"{TRACKER}.partial"
    partial.write_text(str(newest.step), encoding="utf-8")
    partial.replace(folder / TRACKER)
