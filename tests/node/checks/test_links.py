"""Links between nodes, over real sockets of this host."""

from itertools import combinations

import pytest

from primus.node.checks.links import Link, Server, judge, measure, reached, rounds

HERE = "127.0.0.1"


def test_a_link_is_measured_both_ways() -> None:
    server = Server("a run")
    link = measure("a run", 0, 1, (HERE, server.port), 1 << 20)
    server.close()
    assert link.ms is not None
    assert link.there is not None
    assert link.back is not None
    assert min(link.ms, link.there, link.back) > 0


def test_a_node_that_is_not_there_is_a_failure_that_names_both_ends() -> None:
    server = Server("a run")
    server.close()
    (link,) = reached("a run", 0, [(HERE, 1), (HERE, server.port)], [1])
    ((node, finding),) = judge([link], ["c0", "c1"])
    assert (node, finding.level) == (1, "fail")
    assert finding.seen == "c0 does not reach c1: connection refused (127.0.0.1)"


def test_a_stranger_gets_no_answer() -> None:
    server = Server("a run")
    assert measure("another", 0, 1, (HERE, server.port), 1 << 20).ms is None
    server.close()


@pytest.mark.parametrize("nodes", [2, 3, 5, 8])
def test_every_pair_meets_once_and_no_node_is_in_two_at_a_time(nodes: int) -> None:
    every = rounds(nodes)
    assert sorted(pair for pairs in every for pair in pairs) == sorted(combinations(range(nodes), 2))
    for pairs in every:
        assert len({node for pair in pairs for node in pair}) == 2 * len(pairs)


def test_the_node_with_the_slow_cable_is_named() -> None:
    links = [Link(a, b, 0.2, "", 1.0 if 2 in (a, b) else 90.0, 90.0) for a, b in combinations(range(5), 2)]
    ((node, finding),) = judge(links, [f"c{n}" for n in range(5)])
    assert node == 2
    assert finding.seen == "1.0 Gbit/s to the others, median"
