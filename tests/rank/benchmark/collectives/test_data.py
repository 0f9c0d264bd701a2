"""Data whose way through an operation can be followed."""

import pytest
import torch

from primus.rank.benchmark.collectives import data

CPU = torch.device("cpu")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("ranks", [1, 2, 8, 500])
def test_sums_are_exact(dtype: torch.dtype, ranks: int) -> None:
    parts = [torch.empty(1000, dtype=dtype) for _ in range(ranks)]
    for rank, part in enumerate(parts):
        data.fill(part, data.period([rank], ranks, dtype, CPU))
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    assert data.wrong(total, data.period(range(ranks), ranks, dtype, CPU)) == 0


def test_what_came_from_elsewhere_or_was_moved_is_wrong() -> None:
    tensor = torch.empty(3_000_000)
    series = data.period([3], 8, torch.float32, CPU)
    data.fill(tensor, series)
    assert data.wrong(tensor, series) == 0
    assert data.wrong(tensor, data.period([4], 8, torch.float32, CPU)) == tensor.numel()
    assert data.wrong(tensor.roll(1 << 20), series) == tensor.numel()
    tensor[2_500_000] += 1
    assert data.wrong(tensor, series) == 1
