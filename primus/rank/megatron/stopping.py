"""Megatron ends early when it is asked to, with a checkpoint of the step that it ends after."""

import functools
from pathlib import Path
from typing import Any

from megatron.training import get_args, training

from primus.rank.c10d import RankStore
from primus.rank.megatron.checkpoints import Saving
from primus.rank.stopping import Stopping


class Asked:
    """Wraps `train` and `checkpoint_and_decide_exit` of `megatron.training.training`, the last thing of every step.

    Megatron's own `--exit-signal-handler` asks all ranks by a collective in every step, and saves only where an
    interval is set.
    """

    def __init__(self, folder: Path, saving: Saving) -> None:
        self._folder = folder
        self._saving = saving
        self._stopping: Stopping | None = None

    def install(self) -> None:
        """For good: a rank trains once."""
        training.train = self._around(training.train)
        training.checkpoint_and_decide_exit = self._deciding(training.checkpoint_and_decide_exit)

    def _around(self, train: Any) -> Any:
        @functools.wraps(train)
        def around(*arguments: Any, **named: Any) -> Any:
            with Stopping(RankStore()) as self._stopping:
                return train(*arguments, **named)

        return around

    def _deciding(self, decide: Any) -> Any:
        @functools.wraps(decide)
        def deciding(model: Any, optimizer: Any, scheduler: Any, step: int, operations: Any, context: Any,
                     batches: Any) -> bool:  # fmt: skip # one call, as Megatron has it
            ends = bool(decide(model, optimizer, scheduler, step, operations, context, batches))
            assert self._stopping
            args = get_args()
            if not self._stopping.after(step) or step == args.train_iters:  # that is the end without being asked
                return ends
            if self._saving.last != step:
                args.save = args.save or str(self._folder)
                training.save_checkpoint_and_time(
                    step, model, optimizer, scheduler, operations, context, train_data_iterator=batches
                )
            training.maybe_finalize_async_save(blocking=True)
            self._stopping.saved(step)
            return True

        return deciding
