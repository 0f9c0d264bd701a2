"""The learning rate over the steps, in TorchTitan's container."""

import pytest
import torch

from primus.rank.torchtitan.schedule import Schedule


def rates(name: str, steps: int, *, scheduled: int, warmup: int, least: float = 0.0) -> list[float]:
    """The rate of each step, as a share of the highest."""
    settings = {
        "decay_ratio": 0.0 if name == "constant" else None,
        "decay_type": "cosine" if name == "cosine" else "linear",
    }
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    config = Schedule(total_steps=scheduled, warmup_steps=warmup, min_lr_factor=least, **settings)
    container = config.build(optimizers=[optimizer], training_steps=steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        container.step()
    return found


def test_a_linear_schedule_is_at_its_least_at_the_last_step() -> None:
    assert rates("linear", 6, scheduled=6, warmup=2, least=0.2) == pytest.approx([0.5, 1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(("name", "after"), [("cosine", 0.1), ("linear", 0.1), ("constant", 1.0)])
def test_a_training_that_is_longer_than_its_schedule_goes_on_at_the_last_rate(name: str, after: float) -> None:
    found = rates(name, 8, scheduled=4, warmup=2, least=0.1)
    assert found[:2] == pytest.approx([0.5, 1.0])
    assert found[4:] == pytest.approx([after] * 4)
