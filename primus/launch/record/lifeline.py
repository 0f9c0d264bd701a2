"""Whether the launcher still lives, and what is to be said of its runs when it does not."""

import select
import time
from pathlib import Path

from primus.launch import handle, living, outcome
from primus.launch.record import files, sweep
from primus.node import host, rundir

PATIENCE = 20.0
"""Seconds that the agents of a dead launcher get to end their ranks and to say how they ended."""

_MESSAGE = "the launcher was killed"


class Lifeline:
    """The reading end of a pipe whose writing end only the launcher holds. None: there is no launcher to watch."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.cut = False

    def wait(self, seconds: float) -> None:
        """Sleep; less when the launcher goes, which sets `cut`."""
        if self._descriptor is None or self.cut:
            time.sleep(seconds)
        elif select.select([self._descriptor], [], [], seconds)[0]:
            self.cut = True


def end_without_launcher(directory: Path, since: float) -> None:
    """Write the results that a launcher, gone since the time `since` (monotonic, seconds), can not write any more.

    Does so for a run as soon as all of its nodes have said how they ended, or when their time is up.
    """
    runs = sweep.jobs(directory) if sweep.read(directory) else [directory]
    waiting = False
    for run in runs:
        if (run / rundir.RESULT).exists() or not (run / rundir.PLAN).exists():
            continue
        if time.monotonic() - since < PATIENCE and not _agents_are_done(run):
            waiting = True
            continue
        if _alone(run):
            living.end_without_guard(run, 0.0)
        outcome.write_result(run, (run / rundir.PLAN).stat().st_mtime, interrupted=True, message=_MESSAGE)
    batch = sweep.read(directory)
    if batch and "status" not in batch and not waiting:
        rundir.write_json(directory / sweep.SWEEP, {**batch, "status": "KILLED"})


def _agents_are_done(run: Path) -> bool:
    nodes = (files.read_json(run / rundir.PLAN).get("job") or {}).get("nodes", 1)
    reports = files.node_reports(run)
    told = len(reports) >= nodes and all(report.get("outcome") for report in reports.values())
    return told or (_alone(run) and not living.attended(run))


def _alone(run: Path) -> bool:
    """Whether all of a run is on this host."""
    owner, nodes = handle.of(run), (files.read_json(run / rundir.PLAN).get("job") or {}).get("nodes", 1)
    return nodes == 1 and owner is not None and owner.host == host.name() and not owner.job
