"""A shuffled order that takes no memory."""

import itertools
from collections import Counter

import pytest

from primus.rank.order import Permutation


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 1000, 4097])
def test_every_number_comes_once(count: int) -> None:
    order = Permutation(count, 7)
    assert sorted(order[place] for place in range(count)) == list(range(count))


def test_the_order_is_that_of_the_key_for_ever() -> None:
    """These numbers are part of every checkpoint's promise: a run that goes on reads what it would have read."""
    assert [Permutation(10**9, 1234, 0)[place] for place in range(4)] == [495741693, 638131849, 645321900, 256929509]
    assert [Permutation(100, 1)[n] for n in range(100)] == [Permutation(100, 1)[n] for n in range(100)]
    assert [Permutation(100, 1)[n] for n in range(100)] != [Permutation(100, 2)[n] for n in range(100)]


def test_all_orders_of_a_few_are_about_equally_frequent() -> None:
    seen = Counter(tuple(Permutation(4, key)[place] for place in range(4)) for key in range(24 * 200))
    assert set(seen) == set(itertools.permutations(range(4)))
    assert all(130 < count < 270 for count in seen.values())  # 200 each, five standard deviations


def test_neighbours_are_torn_apart() -> None:
    order = Permutation(10_000, 3)
    numbers = [order[place] for place in range(10_000)]
    steps = [abs(after - before) for before, after in itertools.pairwise(numbers)]
    assert abs(sum(steps) / len(steps) - 3333) < 100  # a third of the count, as two random numbers are apart


def test_a_place_beyond_the_end_is_none() -> None:
    with pytest.raises(IndexError):
        Permutation(5, 1)[5]
