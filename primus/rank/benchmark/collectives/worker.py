"""One rank of `task=benchmark/collectives`."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Any

from primus.node.typed import read
from primus.rank.benchmark.collectives import layouts
from primus.rank.benchmark.collectives.layouts import Layout
from primus.rank.problems import UNFIT, Refused

_ON_GPUS = tuple(1 << power for power in range(10, 31, 2))  # 1 KiB to 1 GiB
_ON_A_CPU = tuple(1 << power for power in range(10, 25, 2))  # 1 KiB to 16 MiB


@dataclass(frozen=True)
class Config:
    """The content of rank.json. `sizes` are in bytes; None: by the device. `groups` are layouts by name, or ranks."""

    operations: tuple[str, ...]
    sizes: tuple[int, ...] | None
    dtypes: tuple[str, ...]
    groups: tuple[str | tuple[int, ...], ...]
    stride: int | None
    iterations: int
    warmup: int


@dataclass(frozen=True)
class Case:
    """One row of the results."""

    dtype: str
    layout: Layout
    operation: str
    size: int


def run(rank: dict[str, Any]) -> None:
    """Measure all cases with the other ranks. Raises Refused for what does not fit, and SystemExit for wrong data."""
    if importlib.util.find_spec("torch") is None:
        raise Refused(f"{sys.executable} cannot import torch. Mend it with: pip install torch", UNFIT)
    from primus.rank.benchmark.collectives.measuring import Measuring

    config = read(Config, rank)
    try:
        cases = plan(config, int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"]), on_gpus=_has_gpus())
    except ValueError as error:
        raise Refused(str(error)) from None
    with Measuring(config.iterations, config.warmup) as measuring:
        wrong = measuring.all(cases)
    if wrong:
        sys.exit(f"primus: wrong data: {'; '.join(wrong)}")


def plan(config: Config, world: int, per_node: int, *, on_gpus: bool) -> list[Case]:
    """The cases in the order of the results. Raises ValueError for groups that cannot be."""
    found = layouts.layouts(config.groups, world, per_node)
    stride = config.stride or layouts.usual_stride(world, per_node)
    apart = [group for group in layouts.strided(world, stride) if len(group) > 1] if stride else []
    if "strided_all_gather" in config.operations and config.stride and not apart:
        raise ValueError(f"task.stride={stride}: no two of {world} ranks are that far apart")
    strided = [Layout(f"stride_{stride}", tuple(apart))] if apart else []
    sizes = config.sizes or (_ON_GPUS if on_gpus else _ON_A_CPU)
    return [
        Case(dtype, layout, operation, size)
        for dtype in config.dtypes
        for operation in config.operations
        for layout in (strided if operation == "strided_all_gather" else found)
        if operation != "p2p" or len(layout.groups[0]) > 1
        for size in sizes
    ]


def _has_gpus() -> bool:
    import torch

    return torch.cuda.is_available()
