"""`task=logs run=<run> [rank=3] [follow=true]`: what the ranks printed, while they run too."""

import contextlib
import heapq
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from primus.launch import state
from primus.launch.config.request import Request
from primus.launch.problems import OK, BadRequest
from primus.launch.record.files import node_reports, own, read_json
from primus.launch.slurm.controller import Pace
from primus.launch.task.status import named
from primus.node import console, rundir

_TICK = 0.1
"""Seconds between two looks at the logs."""

_PIECE = 1 << 20
"""Bytes that are read of a log at a time."""


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: what is shown is `run`, `rank` and `follow`."""

    name: str


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    chosen = "the ranks that the console shows" if request.rank is None else f"rank {request.rank}"
    until = ", until it ends" if request.follow else ""
    return f"print the log of {chosen} of {named(request, offline=True)}{until}"


def act(task: Settings, request: Request) -> int:
    """Print the log; 0 however the run ended, as `task=status` says. Raises BadRequest for a run or rank not there."""
    directory = named(request)
    if state.is_sweep(directory):
        raise BadRequest(f"{directory} is a sweep: name one of its jobs, such as run={directory.name}/0")
    _check(directory, request.rank)
    shown = Logs(directory, request.rank)
    if request.follow:
        _follow(directory, shown)
    else:
        shown.whole()
    found = state.read(directory)
    if found.reason and not found.living:
        print(f"primus: the run is {found.name.lower()}: {found.reason}", file=sys.stderr)
    return OK


def _follow(directory: Path, shown: "Logs") -> None:
    """Print what comes until the run is over; while it waits for its nodes, why."""
    pace, over, before = Pace(), False, None
    while not over or shown.more():
        shown.more()
        time.sleep(_TICK)
        if pace.due():
            found = state.read(directory)
            over = not found.living
            if found.name == "PENDING" and found.reason != before:
                before = found.reason
                print(f"primus: the run is pending{f': {before}' if before else ''}", file=sys.stderr)
        over = over or state.ended(directory)
    shown.more(over=True)


class Logs:
    """The logs of one rank (None: of those that the console shows), of all nodes, printed as they grow."""

    def __init__(self, directory: Path, rank: int | None) -> None:
        self._directory = directory
        self._rank = rank
        self._shown = str((read_json(directory / rundir.PLAN).get("job") or {}).get("console_ranks", "0"))
        self._offsets: dict[Path, int] = {}

    def whole(self) -> None:
        """Print what there is: of several ranks the lines in the order of their times."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path in self._files()]
            for line in heapq.merge(*files, key=lambda line: line.split(b" ", 1)[0]):
                sys.stdout.buffer.write(line.removesuffix(b"\n") + b"\n")
        sys.stdout.flush()

    def more(self, over: bool = False) -> bool:
        """Print the whole lines that have come since the last call; False where there are none.

        `over`: nothing more comes, so a last line without its newline is printed too.
        """
        came = False
        for path in self._files():
            for data in self._new(path, over):
                came = True
                sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return came

    def _files(self) -> list[Path]:
        every = (self._directory / "logs").glob("node-*/rank-*.log")
        found = {int(p.stem[5:]): p for p in every if p.stem[5:].isdecimal() and own(self._directory, p)}
        if self._rank is not None:
            return [found[self._rank]] if self._rank in found else []
        chosen = [rank for rank in sorted(found) if self._shown == "none" or console.shows(self._shown, rank)]
        ranks = [found[rank] for rank in (chosen[:1] if self._shown == "none" else chosen)]
        job = own(self._directory, rundir.JOB_LOG)  # of a job whose ranks never started it is all that there is
        return ranks or ([job] if job else [])

    def _new(self, path: Path, over: bool) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            while piece := file.read(_PIECE):
                if b"\n" not in piece:
                    piece += file.readline()  # a line may be of any length
                end = piece.rfind(b"\n") + 1 or (len(piece) if over else 0)
                if not end:
                    return
                self._offsets[path] = self._offsets.get(path, 0) + end
                file.seek(self._offsets[path])
                yield piece[:end].removesuffix(b"\n") + b"\n"


def _check(directory: Path, rank: int | None) -> None:
    """Raise BadRequest for a rank that the run has not; of one that has not begun that is not known yet."""
    size = next((r["world_size"] for r in node_reports(directory).values() if r.get("world_size")), None)
    if rank is not None and (rank < 0 or (size and rank >= size)):
        raise BadRequest(
            f"rank={rank}: this run has {size or 'no such'} ranks" + (f", 0 to {size - 1}" if size else "")
        )
