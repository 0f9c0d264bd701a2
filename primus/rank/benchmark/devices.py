"""The devices of a benchmark: each rank measures its own, all the same at the same time, and rank 0 writes.

Standard library alone, Python >= 3.9, as that of an image may be.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from primus.node.rundir import BY_RANK
from primus.rank.benchmark.timing import percentile
from primus.rank.gathering import Meeting
from primus.rank.results import Results

Case = TypeVar("Case")


class Devices:
    """This rank among the others; as a context it leaves them at its end. Of one rank: the results alone."""

    def __init__(self) -> None:
        """Raises Refused where not all ranks have met."""
        self._results = Results()
        self._meeting = Meeting(socket.gethostname().split(".")[0])
        self._hosts = self._meeting.values or []
        self.count = self._meeting.world

    def __enter__(self) -> Devices:
        return self

    def __exit__(self, *_: object) -> None:
        self._meeting.__exit__()

    def agree(self, cases: Sequence[Case], name: Callable[[Case], str]) -> list[Case]:
        """The cases that every rank can measure, in the order of rank 0; what only some can is said to be left out."""
        own = {name(case): case for case in cases}
        told = self._meeting.exchange(list(own), in_all)
        for left_out in (one for one in own if one not in told):
            print(f"WARNING {left_out} is left out: another rank cannot measure it", flush=True)
        return [own[one] for one in told]

    def row(self, kind: str, speed: str, row: Mapping[str, Any] | None) -> bool:
        """Write what all have measured of a case: a row of all, and of several ranks one of each.

        `speed` is the column that says how fast a device is, where more is better. A rank comes with None where its
        device cannot: False, where none can. No rank goes on before all have come here.
        """
        return bool(self._meeting.exchange(row, lambda rows: self._write(kind, speed, rows)))

    def progress(self, done: int, of: int) -> None:
        """Say how far all are."""
        if self._meeting.rank == 0:
            self._results.progress(done, of)

    def _write(self, kind: str, speed: str, rows: Sequence[Mapping[str, Any] | None]) -> bool:
        there = {rank: row for rank, row in enumerate(rows) if row is not None}
        if not there:
            return False
        if len(rows) == 1:
            self._results.row(kind, **there[0])
            return True
        self._results.row(kind, **summary(there, self._hosts, speed))
        for rank, row in there.items():
            self._results.row(kind + BY_RANK, rank=rank, host=self._hosts[rank], **row)
        return True


def in_all(every: Sequence[Sequence[str]]) -> list[str]:
    """The names that all lists have, in the order of the first."""
    return [one for one in every[0] if all(one in names for names in every)]


def summary(rows: Mapping[int, Mapping[str, Any]], hosts: Sequence[str], speed: str) -> dict[str, Any]:
    """Of the rows by rank: the median of each number, which rank is the slowest, and how far they spread.

    `least` is the speed of the slowest, `spread` how far that is from the fastest, in percent of the median, `total`
    the speed of all together.
    """
    speeds = {rank: float(row[speed]) for rank, row in rows.items()}
    slowest, fastest = min(speeds, key=lambda rank: speeds[rank]), max(speeds.values())
    middle = percentile(list(speeds.values()), 0.5)
    return {
        **{name: _middle([row.get(name) for row in rows.values()]) for name in next(iter(rows.values()))},
        "devices": len(rows),
        "total": sum(speeds.values()),
        "least": speeds[slowest],
        "slowest": f"{slowest} on {hosts[slowest]}",
        "spread": 100 * (fastest - speeds[slowest]) / middle if middle else None,
    }


def local_rank() -> int:
    """Which of its node's devices a rank has."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def sharers() -> int:
    """How many ranks share what a node has."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _middle(values: Sequence[Any]) -> Any:
    """The median of numbers; of anything else what all have, and where they differ, all that there is."""
    known = [value for value in values if value is not None]
    if not known or all(value == known[0] for value in known):
        return known[0] if known else None
    if any(isinstance(value, bool) for value in known):
        return any(known)
    if all(isinstance(value, (int, float)) for value in known):
        return percentile(known, 0.5)
    return ", ".join(sorted({str(value) for value in known}))
