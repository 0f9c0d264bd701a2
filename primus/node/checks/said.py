"""What a preflight found, in rows of results, in lines for people, and as a verdict. Written by node 0 alone."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from primus.node import rundir
from primus.node.checks.compare import Placed
from primus.node.checks.finding import FAIL, INFO, LEVELS, WARN, Finding
from primus.node.checks.links import Link

_NAMED = 3
_ALL = "all"


@dataclass(frozen=True)
class Found:
    """`names` are the hosts by node; `seconds` is how long it took."""

    names: Sequence[str]
    placed: Sequence[Placed]
    links: Sequence[Link]
    seconds: float

    def host(self, placed: Placed) -> str:
        """The host that a finding is about; `all`."""
        return _ALL if placed[0] is None else self.names[placed[0]]

    def of(self, level: str) -> List[Placed]:
        """The findings of a level."""
        return [placed for placed in self.placed if placed[1].level == level]


def verdict(found: Found) -> Dict[str, Any]:
    """Whether the job may begin, and if not, why: the first few reasons."""
    failed = found.of(FAIL)
    named = [f"{found.host(one)}: {one[1].area}: {one[1].name}: {one[1].seen}" for one in failed]
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    count = f"{len(named)} check{'s' * (len(named) > 1)} failed: "
    return {"passed": not failed, "message": count + "; ".join(named[:_NAMED]) + more if failed else ""}


def write(found: Found, run_dir: Path) -> None:
    """Rows of a run that is a preflight; for any other job, lines about what is not as it should be."""
    task = json.loads((run_dir / rundir.PLAN).read_text(encoding="utf-8"))["task"]
    if task == "preflight":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(found))
        rundir.write_text(run_dir / rundir.RESULTS, text)
    else:
        print("\n".join(lines(found)), flush=True)


def rows(found: Found) -> Iterator[Dict[str, Any]]:
    """As primus/rank/results.py writes them: a `node` for each, its `finding`s, what was well as `checked`, `link`s."""
    now = time.time()
    for n, name in enumerate(found.names):
        levels = [finding.level for node, finding in found.placed if node == n]
        worst = next((level for level in reversed(LEVELS) if level in levels), INFO)
        state = {FAIL: "fail", WARN: "warn"}.get(worst, "pass")
        yield {"kind": "node", "time": now, "node": name, "state": state,
               **{f"{level}s": levels.count(level) for level in (FAIL, WARN)}, "checks": len(levels)}  # fmt: skip
    for level in (FAIL, WARN, INFO):
        for placed in found.of(level):
            yield {"kind": "checked" if level == INFO else "finding", "time": now, "level": level,
                   "node": found.host(placed), "area": placed[1].area, "name": placed[1].name,
                   "seen": placed[1].seen, "expected": placed[1].expected, "mend": placed[1].mend}  # fmt: skip
    for link in found.links:
        yield {"kind": "link", "time": now, "from": found.names[link.source], "to": found.names[link.target],
               "ms": link.ms, "there": link.there, "back": link.back}  # fmt: skip


def lines(found: Found) -> List[str]:
    """For the console, before a job."""
    total = len(found.placed)
    bad, odd = found.of(FAIL), found.of(WARN)
    nodes = f"{len(found.names)} node{'s' * (len(found.names) > 1)}"
    head = f"preflight: {total} checks on {nodes} in {found.seconds:.1f} s: {len(bad)} failed, {len(odd)} warnings"
    return [head, *(line for placed in (*bad, *odd) for line in _told(found.host(placed), placed[1]))]


def _told(host: str, finding: Finding) -> Iterator[str]:
    yield f"  {finding.level.upper():<4} {host}  {finding.area}: {finding.name}: {finding.seen}"
    yield f"       expected: {finding.expected}. Mend: {finding.mend}"
