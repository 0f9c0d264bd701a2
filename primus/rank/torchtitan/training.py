"""TorchTitan's Trainer, which ends early when it is asked to."""

from dataclasses import dataclass

from torchtitan.trainer import Trainer

from primus.rank.c10d import RankStore
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
        with Stopping(RankStore()) as self.checkpointer.stopping:
            super().train()

    def should_continue_training(self) -> bool:
        """Asked before every step."""
        stopping = self.checkpointer.stopping
        return super().should_continue_training() and not (stopping and stopping.stopped)
