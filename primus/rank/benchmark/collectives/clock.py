"""How long calls take, one after the other: by events of the GPU's stream (CUDA or HIP), else by the host's clock."""

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from primus.rank.benchmark.collectives.measures import Series

Run = Callable[[], None]

_WORK = 256 << 20
"""Bytes that the GPU writes again and again while the host queues calls: many times as long as queueing that takes."""
_QUEUED = 5
"""Calls by which it is found how long the host takes to queue one."""
_MARGIN = 1.5


class Clock:
    """The clock of a device."""

    def __init__(self, device: torch.device) -> None:
        self._work: torch.Tensor | None = None
        if device.type == "cuda":
            self._work = torch.empty(_WORK, dtype=torch.int8, device=device)
            self._work.zero_()
            self._write = self._between(self._work.zero_, 1, 10)[0] / 10

    def times(self, run: Run, iterations: int) -> Series:
        """Of so many calls."""
        if self._work is not None:
            return self._by_events(run, iterations)
        marks = [time.perf_counter()]
        for _ in range(iterations):
            run()
            marks.append(time.perf_counter())
        return Series((marks[-1] - marks[0]) / iterations, tuple(b - a for a, b in itertools.pairwise(marks)))

    def _by_events(self, run: Run, iterations: int) -> Series:
        """The GPU does the calls when all are queued: small ones are over sooner than Python queues the next."""
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(_QUEUED):
            run()
        queueing = (time.perf_counter() - began) / _QUEUED * (iterations + 1) * _MARGIN
        torch.cuda.synchronize()
        self._busy(queueing)
        run()  # in which the ranks wait for the last of them
        mean = self._between(run, 1, iterations)[0] / iterations
        self._busy(queueing)
        run()
        return Series(mean, self._between(run, iterations, 1))

    def _busy(self, seconds: float) -> None:
        """Give the GPU work for so long."""
        assert self._work is not None
        for _ in range(math.ceil(seconds / self._write)):
            self._work.zero_()

    def _between(self, run: Callable[[], object], marks: int, calls: int) -> tuple[float, ...]:
        """Seconds of so many calls, between each two of `marks + 1` events."""
        event_of: Any = torch.cuda.Event  # without types in torch 2.13
        events = [event_of(enable_timing=True) for _ in range(marks + 1)]
        events[0].record()
        for event in events[1:]:
            for _ in range(calls):
                run()
            event.record()
        events[-1].synchronize()
        return tuple(before.elapsed_time(after) / 1e3 for before, after in itertools.pairwise(events))
