"""TorchTitan's Validator on held-out documents, at the steps that Primus asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torchtitan.components.validate import Validator

from primus.rank.progress import beat


class Evaluation(Validator):
    """Every `freq` steps and at the last step. It always begins with the first held-out document."""

    @dataclass(kw_only=True, slots=True)
    class Config(Validator.Config):
        """`_last`: the last step of the training. With the underscore it is no option of TorchTitan's."""

        _last: int = 0

    config: Config

    def should_validate(self, step: int) -> bool:
        """TorchTitan's own would also validate at step 1 and not at the last."""
        return step % self.config.freq == 0 or step == self.config._last

    def validate(self, model_parts: list[Any], step: int) -> None:
        """Called on every rank; the loss goes to `log_validation` of the metrics."""
        with _random_numbers_kept():
            super().validate(model_parts, step)

    def post_dataloading_process(self, *batch: Any) -> Any:
        """Called for every batch."""
        beat("evaluating")
        return super().post_dataloading_process(*batch)


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """A data loader draws a number when it begins. The training must not see that one is missing."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        yield
