"""Bandwidths as nccl-tests defines them, and how times spread."""

import math

import pytest

from primus.node.collectives import OPERATIONS
from primus.rank.benchmark.collectives.measures import Series, bus_factor, elements, measured


def test_the_bus_factors_are_those_of_nccl_tests() -> None:
    assert {name: bus_factor(name, 8) for name in OPERATIONS} == {
        "all_reduce": 1.75,
        "all_gather": 0.875,
        "reduce_scatter": 0.875,
        "broadcast": 1.0,
        "all_to_all": 0.875,
        "p2p": 1.0,
        "ring_p2p": 1.0,
        "strided_all_gather": 0.875,
    }


def test_bandwidths_are_of_the_mean_time_of_all_ranks() -> None:
    found = measured("all_reduce", 3_000_000, 4, [Series(1e-3, (9.0,)), Series(2e-3, (9.0,))] * 2)
    assert found.mean == pytest.approx(1.5e-3)
    assert found.algorithm_bandwidth == pytest.approx(2e9)
    assert found.bus_bandwidth == pytest.approx(3e9)


def test_the_slowest_rank_is_named_and_ranks_without_a_part_do_not_count() -> None:
    idle = Series(math.nan, (math.nan, math.nan))
    found = measured("p2p", 1000, 2, [Series(2.0, (1.0, 3.0)), idle, Series(3.0, (2.0, 4.0)), idle])
    assert (found.slowest_rank, found.mean, found.least, found.most) == (2, 2.5, 1.5, 3.5)
    assert found.spread == pytest.approx(1 / 2.5)


def test_a_size_that_does_not_divide_is_made_smaller() -> None:
    assert elements("all_gather", 1024, 4, 3) == 255
    assert elements("all_reduce", 1024, 4, 3) == 256
    assert elements("all_to_all", 4, 4, 8) == 8, "each rank has at least one"
