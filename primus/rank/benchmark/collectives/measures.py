"""What the times of an operation say: bandwidths as nccl-tests defines them, and how they spread. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from primus.rank.benchmark.timing import percentile

_IN_PARTS = ("all_gather", "strided_all_gather", "reduce_scatter", "all_to_all")


def elements(operation: str, size: int, item: int, ranks: int) -> int:
    """How many elements of `item` bytes make `size` bytes at most, and equal parts where each rank has one."""
    parts = ranks if operation in _IN_PARTS else 1
    return max(1, size // item // parts) * parts


def bus_factor(operation: str, ranks: int) -> float:
    """By what the algorithm bandwidth (size / time) is multiplied to say how fast the hardware moves data.

    https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md, "Summary"; point to point it is 1, as in
    sendrecv_perf. `ranks` are those of one group.
    """
    if operation == "all_reduce":
        return 2 * (ranks - 1) / ranks
    if operation in _IN_PARTS:
        return (ranks - 1) / ranks
    return 1.0


@dataclass(frozen=True)
class Series:
    """Seconds: the mean of calls with nothing between them, as nccl-tests has it, and of each of as many others.

    On a GPU an event stands between two of the others, which costs each some microseconds (2.5 on an H200).
    """

    mean: float
    each: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """Times in seconds, bandwidths in bytes per second, `spread` as a share of the mean.

    `mean` is of all ranks and calls in a row, as in nccl-tests, and what the bandwidths are of. The percentiles, least
    and most are of calls that are timed one by one, each the mean of its ranks. The slowest rank is the one whose own
    mean is the longest; `spread` is how far that is from the shortest.
    """

    mean: float
    p50: float
    p95: float
    least: float
    most: float
    algorithm_bandwidth: float
    bus_bandwidth: float
    slowest_rank: int
    spread: float


def measured(operation: str, size: int, ranks: int, times: Sequence[Series]) -> Measured:
    """From the times of every rank; one that took no part has NaN for each. `size` in bytes.

    `ranks` are those of one group.
    """
    taking_part = {rank: own for rank, own in enumerate(times) if not math.isnan(own.mean)}
    means = {rank: own.mean for rank, own in taking_part.items()}
    columns = zip(*(own.each for own in taking_part.values()), strict=True)
    iterations = [sum(of_ranks) / len(of_ranks) for of_ranks in columns]
    mean = sum(means.values()) / len(means)
    bandwidth = size / mean
    return Measured(
        mean=mean,
        p50=percentile(iterations, 0.5),
        p95=percentile(iterations, 0.95),
        least=min(iterations),
        most=max(iterations),
        algorithm_bandwidth=bandwidth,
        bus_bandwidth=bandwidth * bus_factor(operation, ranks),
        slowest_rank=max(means, key=lambda rank: means[rank]),
        spread=(max(means.values()) - min(means.values())) / mean,
    )
