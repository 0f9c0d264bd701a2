"""How long calls take, one after the other: by events of the GPU's stream (CUDA or HIP), else by the host's clock."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch


def times(run: Callable[[], None], iterations: int, device: torch.device) -> list[float]:
    """Seconds of each of so many calls. On a GPU they are queued without a wait between, as in nccl-tests."""
    if device.type == "cuda":
        return _by_events(run, iterations)
    marks = [time.perf_counter()]
    for _ in range(iterations):
        run()
        marks.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(marks)]


def _by_events(run: Callable[[], None], iterations: int) -> list[float]:
    event_of: Any = torch.cuda.Event  # without types in torch 2.13
    events = [event_of(enable_timing=True) for _ in range(iterations + 1)]
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    events[-1].synchronize()
    return [before.elapsed_time(after) / 1e3 for before, after in itertools.pairwise(events)]
