"""The starts of a run: the first, and with `resume=<run>` another in its own directory and record."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from primus.launch import rundirectory
from primus.launch.problems import BadRequest
from primus.launch.record import state
from primus.launch.record.files import read_json
from primus.launch.record.tail import Position
from primus.node import rundir
from primus.node.digits import whole
from primus.node.plan import Plan

ATTEMPTS = "attempts"
"""Folder of a run directory: `<n>/` holds what earlier start n left that the next one writes anew."""

_CHECKS = ("preflight", "smoke")
"""Folders of the reports of nodes, by rundir.checks_report."""

_WRITTEN_ANEW = (
    rundir.PLAN,
    rundir.CONFIG,
    rundir.OVERRIDES,
    rundir.RESULT,
    "nodes",
    rundir.RESULTS,
    rundir.BASELINE,
    *_CHECKS,
)


@contextlib.contextmanager
def opened(plan: Plan, again: bool) -> Iterator[Path]:
    """The run directory of `plan`, ready for a start, and known as running until the end of the context.

    `again`: the directory is that of an earlier start; logs and metrics go on where they are. Raises BadRequest where
    the directory cannot be written, or the run is running already.
    """
    directory = Path(plan.directory) if again else rundirectory.create(plan)
    with running(directory):
        if again:
            _set_aside(directory)
            _reopen_record(directory)
            rundirectory.write(plan, directory)
            rundirectory.log(directory, "INFO", f"start {count(directory) + 1} of this run")
        yield directory


@contextlib.contextmanager
def running(directory: Path) -> Iterator[None]:
    """Hold the directory of a run or a sweep open and locked. Raises BadRequest where another process does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadRequest(f"resume: {directory} is still running") from None
    except OSError:  # a file system that has no locks on folders, such as NFS
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def requeued(directory: Path) -> None:
    """Make ready for another start of the same plan, by Slurm: in this directory, and in its MLflow run."""
    earlier = _set_aside(directory)
    for name in (rundir.CONFIG, rundir.OVERRIDES, rundir.BASELINE, rundir.PLAN):
        if (earlier / name).is_file():
            rundir.write_text(directory / name, (earlier / name).read_text(encoding="utf-8"))
    try:
        _reopen_record(directory)
    except state.Busy as error:  # on a node that was lost and lives: the job goes on, its record can wait
        rundirectory.log(directory, "WARN", str(error))
    rundirectory.log(directory, "INFO", f"start {count(directory) + 1} of this run, by Slurm")


def _set_aside(directory: Path) -> Path:
    earlier = directory / ATTEMPTS / str(count(directory) + 1)
    earlier.mkdir(parents=True)
    for name in _WRITTEN_ANEW:
        if (directory / name).exists():
            shutil.move(directory / name, earlier / name)
    return earlier


def count(directory: Path) -> int:
    """How many earlier starts the run has had."""
    folder = directory / ATTEMPTS
    return sum(1 for path in folder.iterdir() if whole(path.name)) if folder.is_dir() else 0


def _reopen_record(directory: Path) -> None:
    """The MLflow run goes on; its files are sent once more, for they are others now."""
    path = directory / rundir.RECORD
    if path.is_file():
        with state.lock(directory):
            uri = str(read_json(path).get("tracking_uri", ""))
            record = state.load(directory, uri).moved({rundir.RESULTS: Position()})
            state.save(directory, replace(record, complete=False, artifacts=(), errors=()))
