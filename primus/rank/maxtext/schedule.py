"""The learning rate over the steps, as the neutral terms have it."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from maxtext.utils import maxtext_utils


def install() -> None:
    """Put `create_learning_rate_schedule` in the place of MaxText's: the same parameters, another first and last step.

    Upstream: maxtext 0.2.5, utils/maxtext_utils.py: its first step has a rate of 0, and after the schedule's end the
    rate is 0. Can go when the warm-up begins above 0 there.
    """
    maxtext_utils.create_learning_rate_schedule = create_learning_rate_schedule


def create_learning_rate_schedule(config: Any) -> Callable[[Any], Any]:
    """The rate by number of the step, from 0, of MaxText's own parameters (configs/base.yml).

    Warm-up: n/w of the rate at the n-th of w steps, then as long as `wsd` has a plateau that rate, then the decay,
    which comes to `learning_rate_final_fraction` of it at the last step of the schedule, and stays there.
    """
    total = config.learning_rate_schedule_steps
    warmup = max(1, round(total * config.warmup_steps_fraction))
    cosine = config.lr_schedule_type == "cosine"
    decay = total - warmup if cosine else round(total * config.wsd_decay_steps_fraction)
    cosine = cosine or config.wsd_decay_style == "cosine"
    least = config.learning_rate_final_fraction

    def rate(step: Any) -> Any:
        number = step + 1
        progress = jnp.clip((number - (total - decay)) / max(decay, 1), 0.0, 1.0) if decay else 0.0
        shape = 0.5 * (1 + jnp.cos(jnp.pi * progress)) if cosine else 1 - progress
        return config.learning_rate * jnp.where(number < warmup, number / warmup, least + (1 - least) * shape)

    return rate
