"""What happens after which step of MaxText's loop: steps are counted from 1 here, and the last one is one of them.

Upstream: maxtext 0.2.5, trainers/pre_train/train.py looks the functions and the class below up by their modules.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from absl import logging
from maxtext.common import checkpointing, profiler
from maxtext.trainers.pre_train import train
from maxtext.utils import train_utils

from primus.rank.maxtext.metrics import Lines
from primus.rank.progress import beat
from primus.rank.stopping import Stopping

Iteration = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]


def install(rank: dict[str, Any], lines: Lines, stopping: Stopping) -> None:
    """Save, evaluate and trace as `rank` says, and end when asked to; `lines` are told of every step."""
    checkpointing.maybe_save_checkpoint = partial(_save, rank["checkpoint"]["interval"], stopping)
    train.training_loop_iteration = partial(
        _iterate, train.training_loop_iteration, rank["evaluation"]["interval"], lines, stopping
    )
    if rank["profile"]["steps"]:
        profiler.Profiler = partial(Profile, *rank["profile"]["steps"])


def _save(
    interval: int | None,
    stopping: Stopping,
    manager: Any,
    state: Any,
    config: Any,
    data_iterator: Any,
    step: int | None = None,
) -> None:
    """In the place of `maybe_save_checkpoint`, which saves after steps 1, 1 + interval and so on.

    `step` None is MaxText's call after the last step, which has been saved by then. Can go when MaxText counts whole
    intervals.
    """
    if step is None:
        return
    done = step + 1
    stops = stopping.after(done)
    if not stops and (manager is None or interval is None or (done % interval and done != config.steps)):
        return
    if manager is None:
        config.get_keys()["enable_checkpointing"] = True
        manager = train_utils.create_checkpoint_manager(config, None, None)
    logging.info("saving checkpoint %d, after step %d", step, done)
    beat(f"saving the checkpoint of step {done}")
    checkpointing.save_checkpoint(manager, step, state, config, data_iterator, force=True)
    beat(f"after the checkpoint of step {done}")
    if stops:
        checkpointing.wait_until_finished(manager)
        stopping.saved(done)


def _iterate(
    own: Iteration,
    interval: int | None,
    lines: Lines,
    stopping: Stopping,
    device_state: dict[str, Any],
    variables: dict[str, Any],
    constants: dict[str, Any],
) -> Any:
    """In the place of `training_loop_iteration`, which does not evaluate after the last step but by chance.

    The loop asks before every step how many there are to be: so it ends early. Can go when MaxText does both.
    """
    lines.begin(variables["step"] + 1)
    if not isinstance(device_state["p_train_step"], Told):
        beat("compiling the first step")
        device_state["p_train_step"] = Told(device_state["p_train_step"], lines)
        if device_state["p_eval_step"] is not None:
            device_state["p_eval_step"] = _beating(device_state["p_eval_step"])
    now = constants
    if interval is not None and variables["step"] + 1 == constants["steps"]:
        now = {**constants, "eval_interval": 1, "eval_start_step": 0}
    values = own(device_state, variables, now)
    if stopping.stopped:
        constants["steps"] = variables["step"] + 1
    return values


class Told:
    """MaxText's compiled step, which tells `lines` of its values as soon as it is on its way to the device."""

    def __init__(self, step: Callable[..., Any], lines: Lines) -> None:
        self._step = step
        self._lines = lines

    def __call__(self, *arguments: Any) -> Any:
        state, metrics = self._step(*arguments)
        self._lines.step(metrics["scalar"])
        return state, metrics


def _beating(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """MaxText's compiled evaluation of a batch, with a heartbeat."""

    def batch(*arguments: Any) -> Any:
        beat("evaluating")
        return evaluate(*arguments)

    return batch


class Profile(profiler.Profiler):
    """A trace of the steps `first` to `last`, wherever this start began, into `profile/` of the run directory.

    MaxText counts them from where a start began, and writes into TensorBoard's folder. Can go when it has options for
    both.
    """

    def __init__(self, first: int, last: int, config: Any, offset_step: int = 0) -> None:
        super().__init__(config, offset_step=offset_step)
        self.base_output_dir = str(Path(os.environ["PRIMUS_RUN_DIR"]) / "profile" / f"rank-{os.environ['RANK']}")
        self.start_initial_profile_step = first - 1
        self.finished_initial_profile_step = min(last, config.steps) - 1
