"""The ranks of a benchmark together: they meet, measure one case after the other, and the first writes the results."""

import datetime
import itertools
import math
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from primus.rank.benchmark.collectives.clock import Clock
from primus.rank.benchmark.collectives.layouts import Group
from primus.rank.benchmark.collectives.measures import Measured, Series, elements, measured
from primus.rank.benchmark.collectives.operations import KINDS, Member
from primus.rank.benchmark.timing import copies
from primus.rank.problems import UNFIT, Refused
from primus.rank.results import Results

if TYPE_CHECKING:
    from primus.rank.benchmark.collectives.worker import Case

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PATIENCE = datetime.timedelta(minutes=5)


class Measuring:
    """This rank among the others; as a context it joins and leaves them."""

    def __init__(self, iterations: int, warmup: int) -> None:
        self._iterations, self._warmup = iterations, warmup
        self._rank, self._world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._device = _device(int(os.environ["LOCAL_RANK"]))
        self._clock = Clock(self._device)
        self._handles: dict[Group, dist.ProcessGroup | None] = {tuple(range(self._world)): None}
        self._hosts: list[str] = []
        self._results = Results()

    def __enter__(self) -> "Measuring":
        on_gpu = self._device.type == "cuda"
        dist.init_process_group(
            "nccl" if on_gpu else "gloo", timeout=_PATIENCE, device_id=self._device if on_gpu else None
        )
        hosts: list[str | None] = [None] * self._world
        dist.all_gather_object(hosts, socket.gethostname().split(".")[0])
        self._hosts = [str(host) for host in hosts]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._wait()  # rank 0 has the store of all
            dist.destroy_process_group()

    def all(self, cases: Sequence["Case"]) -> list[str]:
        """Measure the cases; in words, those whose data came out wrong."""
        found = []
        for done, case in enumerate(cases):
            times, wrong = self._gather(*self._measure(case))
            if self._rank == 0:
                self._write(case, times, wrong)
                self._results.progress(done + 1, len(cases))
            if wrong:
                at = f"rank{'s' if len(wrong) > 1 else ''} {', '.join(map(str, wrong))}"
                found.append(f"{case.operation} of {case.size} bytes ({case.dtype}, {case.layout.name}) at {at}")
        return found

    def _measure(self, case: "Case") -> tuple[Series, int]:
        """The times of this rank, NaN where it takes no part, and how many elements came out wrong."""
        idle = Series(math.nan, (math.nan,) * self._iterations)
        for group in case.layout.groups:
            self._know(group)
        group_of_this = case.layout.of(self._rank)
        if group_of_this is None:
            self._wait()
            return idle, 0
        member = Member(group_of_this, group_of_this.index(self._rank), self._handles[group_of_this])
        dtype = _DTYPES[case.dtype]
        many = elements(case.operation, case.size, dtype.itemsize, member.count)
        sets = [KINDS[case.operation](member, many, dtype, self._device) for _ in range(self._sets(case.size))]
        if not sets[0].takes_part:
            self._wait()
            return idle, 0
        turns = itertools.cycle(sets)
        for _ in range(self._warmup):
            next(turns).run()
        self._wait()
        times = self._clock.times(lambda: next(turns).run(), self._iterations)
        sets[0].fill()
        sets[0].run()
        return times, sets[0].wrong()

    def _sets(self, size: int) -> int:
        """How many sets of buffers take turns: as nccl-tests, a GPU finds none of them in its cache."""
        if self._device.type != "cuda":
            return 1
        cache = torch.cuda.get_device_properties(self._device).L2_cache_size
        return copies(size, cache, torch.cuda.mem_get_info(self._device)[0] // 2)

    def _gather(self, times: Series, wrong: int) -> tuple[list[Series], dict[int, int]]:
        """The times of every rank, and the number of wrong elements of those that have any."""
        own = torch.tensor([times.mean, *times.each, wrong], dtype=torch.float64, device=self._device)
        every = [torch.empty_like(own) for _ in range(self._world)]
        dist.all_gather(every, own)
        told = [one.tolist() for one in every]
        series = [Series(one[0], tuple(one[1:-1])) for one in told]
        return series, {rank: int(one[-1]) for rank, one in enumerate(told) if one[-1]}

    def _write(self, case: "Case", times: list[Series], wrong: dict[int, int]) -> None:
        ranks, item = max(len(group) for group in case.layout.groups), _DTYPES[case.dtype].itemsize
        size = elements(case.operation, case.size, item, ranks) * item
        found: Measured = measured(case.operation, size, ranks, times)
        self._results.row(
            "collective",
            operation=case.operation,
            groups=case.layout.name,
            ranks=ranks,
            dtype=case.dtype,
            bytes=size,
            time_mean=1e6 * found.mean,
            time_p50=1e6 * found.p50,
            time_p95=1e6 * found.p95,
            time_min=1e6 * found.least,
            time_max=1e6 * found.most,
            algorithm_bandwidth=found.algorithm_bandwidth / 1e9,
            bus_bandwidth=found.bus_bandwidth / 1e9,
            slowest=f"{found.slowest_rank} on {self._hosts[found.slowest_rank]}",
            spread=100 * found.spread,
            wrong=sum(wrong.values()),
            iterations=self._iterations,
            library=dist.get_backend(),
        )

    def _know(self, group: Group) -> None:
        """Have a handle for a group; every rank makes every group, in the same order."""
        if group not in self._handles:
            handle = dist.new_group(list(group), timeout=_PATIENCE)
            self._handles[group] = handle
            if self._rank in group:  # the first call of a group is for all its ranks, and in p2p not all call
                dist.all_reduce(torch.zeros(1, device=self._device), group=handle)

    def _wait(self) -> None:
        dist.barrier(device_ids=[self._device.index] if self._device.type == "cuda" else None)
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    there = torch.cuda.device_count()
    if local_rank >= there:
        raise Refused(f"local rank {local_rank} has no GPU: {there} are visible. Give ranks_per_node={there}", UNFIT)
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
