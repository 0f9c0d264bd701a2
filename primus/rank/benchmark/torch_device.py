"""The device of a rank by PyTorch: how work on it is timed. CUDA and HIP alike go by `torch.cuda`."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from primus.rank.benchmark import clock
from primus.rank.benchmark.devices import local_rank, sharers
from primus.rank.benchmark.timing import Times, repeats
from primus.rank.problems import UNFIT, Refused

_FLUSH_GPU = 256 << 20
"""Bytes that triton.testing.do_bench (3.5) writes between two repeats, several times any L2."""
_FLUSH_CPU = 64 << 20
"""At most: a guest is told of all the host's cache, of which it has a part, and 500 MB take longer than the work."""

_WARM_UP = 0.025
"""Seconds of work before what is measured on a GPU, as do_bench has it: an idle one first raises its clock."""
_ESTIMATED = 5
"""Calls by which the number of repeats is estimated, as there."""

Call = Callable[[], object]


class TorchDevice:
    """This rank's GPU among those that its node shows, else the CPU."""

    def __init__(self) -> None:
        """Raises Refused for a rank without a GPU where others have one."""
        self.on_gpu = torch.cuda.is_available()
        self.device = _gpu(local_rank()) if self.on_gpu else torch.device("cpu")
        properties: Any = torch.cuda.get_device_properties(self.device) if self.on_gpu else None
        self.name = properties.name if properties else "cpu"
        self.cache = int(properties.L2_cache_size) if properties else min(clock.cache_of_cpu(), _FLUSH_CPU)
        self._address = _address(properties)
        if self.on_gpu:
            clock.of_gpu(self._address)  # the first time takes long
        flush = max(_FLUSH_GPU, 2 * self.cache) if self.on_gpu else max(self.cache, 1 << 20)
        # Of four bytes, as there: PyTorch writes single ones slower, and a GPU at its power limit rests meanwhile.
        self._flush = torch.empty(flush // 4, dtype=torch.int32, device=self.device)

    def room(self) -> int:
        """Bytes that are free on the device, for this rank."""
        if self.on_gpu:
            return int(torch.cuda.mem_get_info(self.device)[0])
        with open("/proc/meminfo", encoding="utf-8") as file:
            free = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
        return free // sharers()

    def synchronize(self) -> None:
        """Wait for all that the device was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def measure(self, calls: Sequence[Call], seconds: float, *, flush: bool = True) -> Times:
        """The calls in turn until `seconds` are over, each timed, with the caches written over between them.

        As triton.testing.do_bench does it, with events in the stream around each call; on a CPU by the clock.
        """
        for call in calls:
            call()
        self.synchronize()
        began = time.perf_counter()
        for i in range(_ESTIMATED):
            self._clear(flush)
            calls[i % len(calls)]()
        self.synchronize()
        one = (time.perf_counter() - began) / _ESTIMATED
        number = repeats(one, seconds)
        return (
            self._by_events(calls, number, int(_WARM_UP / one), flush)
            if self.on_gpu
            else self._by_clock(calls, number, flush)
        )

    def _clear(self, flush: bool) -> None:
        if flush:
            self._flush.zero_()

    def _by_events(self, calls: Sequence[Call], number: int, before: int, flush: bool) -> Times:
        """`before` as many calls that are not timed: between these and the others the GPU is never idle."""
        event: Any = torch.cuda.Event  # without types in torch 2.13
        starts, ends = ([event(enable_timing=True) for _ in range(number)] for _ in range(2))
        for i in range(before):
            calls[i % len(calls)]()
        for i in range(number):
            self._clear(flush)
            starts[i].record()
            calls[i % len(calls)]()
            ends[i].record()
        frequency = clock.of_gpu(self._address)  # while it works: what was queued above is not done yet
        torch.cuda.synchronize(self.device)
        return Times([start.elapsed_time(end) / 1e3 for start, end in zip(starts, ends, strict=True)], frequency)

    def _by_clock(self, calls: Sequence[Call], number: int, flush: bool) -> Times:
        seconds = []
        for i in range(number):
            self._clear(flush)
            began = time.perf_counter()
            calls[i % len(calls)]()
            seconds.append(time.perf_counter() - began)
        return Times(seconds, clock.of_cpu())


def _gpu(number: int) -> torch.device:
    there = torch.cuda.device_count()
    if number >= there:
        raise Refused(f"local rank {number} has no GPU: {there} are visible. Give ranks_per_node={there}", UNFIT)
    torch.cuda.set_device(number)  # streams and events are those of the current device
    return torch.device("cuda", number)


def _address(properties: Any) -> str:
    """`0000:1b:00.0`; empty on a CPU, and for a PyTorch that does not say it."""
    parts: list[Any] = [getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    return "" if None in parts else "{:04x}:{:02x}:{:02x}.0".format(*parts)
