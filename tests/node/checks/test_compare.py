"""The odd one out."""

from primus.node.checks.compare import clocks, odd_ones
from primus.node.checks.finding import Fact, Report


def report(node: int, driver: str) -> Report:
    return Report(node, f"c{node}", (), (Fact("gpu", "driver", driver, "warn", "install one driver"),))


def test_nodes_that_are_alike_are_not_mentioned() -> None:
    assert odd_ones([report(n, "580.95.05") for n in range(3)]) == []


def test_the_one_that_differs_from_most_is_named() -> None:
    ((node, finding),) = odd_ones([report(0, "580.95.05"), report(1, "570.12"), report(2, "580.95.05")])
    assert node == 1
    assert (finding.seen, finding.expected) == ("570.12", "580.95.05, as on 2 of 3 nodes")


def test_without_a_majority_all_are_named() -> None:
    ((node, finding),) = odd_ones([report(0, "580.95.05"), report(1, "570.12")])
    assert node is None
    assert finding.seen == "c0: 580.95.05; c1: 570.12"


def test_a_node_without_the_fact_is_no_odd_one() -> None:
    assert odd_ones([report(0, "1"), Report(1, "c1"), report(2, "1")]) == []


def test_clocks_count_by_what_is_certain_of_their_distance() -> None:
    found = clocks({1: (0.1, 0.001), 2: (-2.0, 0.01), 3: (60.0, 0.1), 4: (1.0, 0.9)}, "c0")
    assert [(node, finding.level, finding.seen) for node, finding in found] == [
        (2, "warn", "2.00 s behind c0"),
        (3, "fail", "60.00 s ahead of c0"),
    ]
