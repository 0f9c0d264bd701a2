"""The learning rate over the steps, in TorchTitan's container of schedulers."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from torchtitan.components.optimizer import LRSchedulersContainer


@dataclass(kw_only=True, slots=True)
class Schedule(LRSchedulersContainer.Config):
    """A schedule that is at its least at the last step.

    TorchTitan 0.3.0 holds the rate for one step after the warm-up and ends a step early, so that another framework with
    the same words has another rate at every step; and a training that is longer than its constant schedule it ends.
    """

    def build(self, *, optimizers: Any, training_steps: int) -> LRSchedulersContainer:
        """As the parent's. A constant rate (no decay) is one whose least is its highest."""
        factor = partial(
            decayed,
            steps=self.total_steps or training_steps,
            warmup=self.warmup_steps,
            least=1.0 if self.decay_ratio == 0.0 else self.min_lr_factor,
            cosine=self.decay_type == "cosine",
        )
        return LRSchedulersContainer(optimizers, factor)


def decayed(done: int, *, steps: int, warmup: int, least: float, cosine: bool) -> float:
    """The share of the highest rate after `done` steps: up to 1 at step `warmup`, down to `least` at step `steps`."""
    step = done + 1
    if step <= warmup:
        return step / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    shape = 0.5 * (1 + math.cos(math.pi * progress)) if cosine else 1 - progress
    return least + (1 - least) * shape
