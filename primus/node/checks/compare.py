"""Nodes beside each other: whichever is unlike the others is named. Pure."""

from collections import Counter
from typing import Dict, List, Optional, Sequence, Tuple

from primus.node.checks.finding import FAIL, WARN, Fact, Finding, Report

_NAMED = 8
_SKEW, _WORSE = 0.5, 5.0
"""Seconds between the clocks of two nodes: logs are out of order; time stamps of files and Kerberos fail."""

Placed = Tuple[Optional[int], Finding]
"""A finding and the node that it is about; None: all of them."""


def odd_ones(reports: Sequence[Report]) -> List[Placed]:
    """Facts that differ. The value of more than half of the nodes is right; without such a majority all are named."""
    found: List[Placed] = []
    facts: Dict[Tuple[str, str], Dict[int, Fact]] = {}
    for report in reports:
        for fact in report.facts:
            facts.setdefault((fact.area, fact.name), {})[report.node] = fact
    for (area, name), by_node in facts.items():
        values = Counter(fact.value for fact in by_node.values()).most_common()
        one = next(iter(by_node.values()))
        if len(values) == 1:
            continue
        usual, count = values[0]
        if count * 2 > len(by_node):
            for node, fact in by_node.items():
                if fact.value != usual:
                    expected = f"{usual}, as on {count} of {len(by_node)} nodes"
                    found.append((node, Finding(area, name, fact.level, fact.value, expected, fact.mend)))
        else:
            hosts = {report.node: report.host for report in reports}
            each = [f"{hosts[node]}: {fact.value}" for node, fact in sorted(by_node.items())]
            seen = "; ".join(each[:_NAMED]) + ("; ..." if len(each) > _NAMED else "")
            found.append((None, Finding(area, name, one.level, seen, "the same on all nodes", one.mend)))
    return found


def clocks(offsets: Dict[int, Tuple[float, float]], first: str) -> List[Placed]:
    """Clocks that differ from that of node 0 by more than can be an error of the measurement; seconds."""
    found: List[Placed] = []
    for node, (ahead, error) in sorted(offsets.items()):
        certain = abs(ahead) - error
        if certain > _SKEW:
            seen = f"{abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} {first}"
            level = FAIL if certain > _WORSE else WARN
            mend = "start chronyd or ntpd on the node: chronyc makestep"
            found.append((node, Finding("host", "clock", level, seen, f"within {_SKEW} s", mend)))
    return found
