"""TorchTitan's Trainer, which ends early when it is asked to, and together with the other ranks."""

import time
from dataclasses import dataclass
from types import SimpleNamespace

import torchtitan.trainer
from torchtitan.tools.logging import logger
from torchtitan.trainer import Trainer

from primus.node import dcp
from primus.rank.c10d import RankStore
from primus.rank.saved import Saved
from primus.rank.stopping import Stopping
from primus.rank.torchtitan.checkpoints import Checkpoints


class Training(Trainer):
    """Whether to stop is asked where a step may be saved: `Checkpoints.save` comes after every step, on every rank."""

    @dataclass(kw_only=True, slots=True)
    class Config(Trainer.Config):
        """TorchTitan's own."""

    checkpointer: Checkpoints

    def train(self) -> None:
        """Until the last step, or the one that is agreed on."""
        _end_without_sleep()
        with Saved(dcp.METADATA) as self.checkpointer.saved, Stopping(RankStore()) as self.checkpointer.stopping:
            super().train()

    def should_continue_training(self) -> bool:
        """Asked before every step."""
        stopping = self.checkpointer.stopping
        return super().should_continue_training() and not (stopping and stopping.stopped)


def _end_without_sleep() -> None:
    """Rank 0 has the others' store, and sleeps two seconds at the end, by which time they should be through with it.

    The worker has all ranks meet instead. Upstream: torchtitan 0.3.0, `train` in trainer.py. Can go when it waits for
    the others and not for a time.
    """
    clock = SimpleNamespace(perf_counter=time.perf_counter, sleep=lambda seconds: None)  # all that trainer.py takes
    vars(torchtitan.trainer)["time"] = clock
    logger.addFilter(lambda record: not record.getMessage().startswith("Sleeping"))
