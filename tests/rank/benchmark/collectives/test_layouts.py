"""Which ranks talk to each other."""

import pytest

from primus.rank.benchmark.collectives.layouts import Layout, layouts, strided, usual_stride

EVERY = ("all", "intra_node", "inter_node")


def test_two_nodes_of_four_ranks() -> None:
    whole, intra, inter = layouts(EVERY, 8, 4)
    assert whole == Layout("all", ((0, 1, 2, 3, 4, 5, 6, 7),))
    assert intra == Layout("intra_node", ((0, 1, 2, 3), (4, 5, 6, 7)))
    assert inter == Layout("inter_node", ((0, 4), (1, 5), (2, 6), (3, 7)))


def test_layouts_that_are_the_same_ranks_are_measured_once() -> None:
    assert [one.name for one in layouts(EVERY, 4, 4)] == ["all"]
    assert [one.name for one in layouts(EVERY, 2, 1)] == ["all"]
    assert [one.name for one in layouts(EVERY, 1, 1)] == ["all"]


def test_chosen_groups_are_one_layout() -> None:
    (chosen,) = layouts(((0, 3), (1, 2)), 5, 5)
    assert (chosen.name, chosen.groups) == ("0,3+1,2", ((0, 3), (1, 2)))
    assert (chosen.of(3), chosen.of(4)) == ((0, 3), None)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (((0, 8),), "there is no rank 8: the 8 ranks are 0 to 7"),
        (((0, 1), (1, 2)), "rank 1 is in two groups"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layouts(groups, 8, 8)


def test_strided_groups_reach_across_nodes() -> None:
    assert strided(8, 4) == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert strided(6, 2) == ((0, 2, 4), (1, 3, 5))
    assert [usual_stride(world, per_node) for world, per_node in ((16, 8), (8, 8), (2, 2), (2, 1), (1, 1))] == [
        8, 2, None, None, None,
    ]  # fmt: skip
