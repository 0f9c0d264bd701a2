"""Short jobs of a sweep in one element of its array, one after another: Slurm and Python start once for all of them."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from primus.launch import outcome
from primus.launch.job.first import FirstProcess
from primus.launch.slurm import array
from primus.node import allocation, clock, guard, packages, process, rundir

_BROKEN = 2


def main(sweep: Path, jobs: str, each: int) -> int:
    """Run the jobs of this element that have no result yet; the exit code of the first that did not end well.

    Those with one finished in an earlier start of the element, or were cancelled while they waited. Once the element
    is told to end, or to save before its time is up, no further job begins.
    """
    element, places = int(os.environ["SLURM_ARRAY_TASK_ID"]), array.places(array.read(jobs), each)
    waiting = [sweep / str(index) for index, place in places.items() if place == element]
    exit_code, told = 0, False
    import_module("primus.node.agent")  # here, once: each job's agent is a copy of this process
    process.ready_for_copies()
    while waiting and not told:
        directory = waiting.pop(0)
        if not _is_over(directory):
            code, told = _run(directory)
            exit_code = exit_code or code
            if told and _is_over(directory):  # else Slurm starts the element again
                _give_up(waiting)
    return exit_code


def _is_over(directory: Path) -> bool:
    try:
        return rundir.RESULT in os.listdir(directory)  # listed: NFS remembers for a while that a file was not there
    except OSError:  # removed while it waited: those behind it go on
        return True


def _run(directory: Path) -> tuple[int, bool]:
    """Run one job, into its own log; its exit code, and whether the whole element was told to end."""
    _log_to(directory / rundir.JOB_LOG)
    signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING)  # until they reach the next job, or what it says of them
    try:
        job = FirstProcess(directory, recorded=False, shared=packages.share())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, guard.ENDING)
        try:
            code = job.run()
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING)
            job.close()
    except (OSError, ValueError, KeyError) as error:
        print(f"primus: the job in {directory} cannot run: {error}", file=sys.stderr)
        return _BROKEN, False
    return code, job.told_to_end or (directory / rundir.STOP).exists()


def _log_to(path: Path) -> None:
    """From here on this process, and what it starts, prints there."""
    sys.stdout.flush()
    sys.stderr.flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _give_up(waiting: list[Path]) -> None:
    now, job_id = clock.steady(), allocation.job(os.environ)
    for directory in waiting:
        if not _is_over(directory):
            outcome.write_result(directory, now, True, f"job {job_id} of Slurm ended before it came to this one")
