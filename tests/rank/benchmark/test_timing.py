"""How often something is measured, and what its times say."""

from primus.rank.benchmark.timing import LEAST, MOST, Times, copies, percentile, repeats


def test_percentiles_lie_between_neighbours_in_proportion() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.5) == 1.5
    assert percentile([5.0], 0.95) == 5.0
    times = Times([float(n) for n in range(101)])
    assert (times.p50, times.p95) == (50.0, 95.0)


def test_what_takes_long_is_measured_ten_times_and_nothing_for_ever() -> None:
    assert repeats(5.0, 0.3) == LEAST
    assert repeats(0.01, 0.5) == 50
    assert repeats(1e-9, 0.3) == repeats(0.0, 0.3) == MOST


def test_operands_take_turns_until_they_exceed_the_cache_as_far_as_there_is_room() -> None:
    assert copies(size=10, cache=40, room=10_000) == 8
    assert copies(size=100, cache=40, room=10_000) == 2
    assert copies(size=1, cache=1000, room=10_000) == 16
    assert copies(size=100, cache=40, room=150) == 1
