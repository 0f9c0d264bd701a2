"""`task=cancel run=<run>`: end every process of a run or a sweep, on every node; the record then says KILLED."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from primus.launch import completing, handle, living, state
from primus.launch.config.request import Request
from primus.launch.handle import Handle
from primus.launch.problems import JOB_FAILED, OK, BadRequest, Unfit
from primus.launch.record.files import read_json
from primus.launch.slurm import controller
from primus.launch.state import State
from primus.launch.task.status import named
from primus.node import host, rundir

_TICK = 0.05
_LEEWAY = 45.0
"""Seconds beside the grace period of the ranks: Slurm waits 30 (KillWait) before its SIGKILL."""


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: the run is `run`."""

    name: str


def describe(task: Settings, request: Request) -> str:
    """What `act` would do; looks, and asks no cluster."""
    return f"end every process of {named(request, offline=True)}"


def act(task: Settings, request: Request) -> int:
    """Returns when no process of it is left and its record says KILLED.

    A run that was killed already is no error. Raises BadRequest for one that is over otherwise, Unfit for one that can
    only be ended from its own host.
    """
    found = state.read(named(request))
    if found.name in ("FINISHED", "FAILED"):
        raise BadRequest(f"{found.id} is over already, nothing is cancelled: it {found.name.lower()}")
    if found.name == "KILLED":
        print(f"run     {found.directory}  (killed before)")
        return OK
    if _alone_in(found):
        ended = _cancel_slurm(found) if _job(found) else _cancel_here(found)
    else:
        ended = found.name == "PENDING"  # its element passes over what has a result by then
    if not ended:
        return JOB_FAILED
    for run in found.jobs or (state.read(found.directory),):
        completing.write_result(run, cancelled=True)
    if found.jobs:
        completing.end_sweep(found, "KILLED")
    found, missing = completing.complete(state.read(found.directory), request)
    print(f"run     {found.directory}  ({found.name.lower()})")
    if missing:
        print(f"record  not complete: {missing}")
    return OK


def _alone_in(found: State) -> bool:
    """Whether no other job of a sweep is in the same element of the array.

    Raises BadRequest for one that runs there: to end it would end those that wait behind it.
    """
    sweep = found.directory.parent
    if found.jobs or not _job(found) or not state.is_sweep(sweep):
        return True
    owners = {d.name: owner.job for d in state.jobs(sweep) if (owner := handle.of(d))}
    beside = [name for name, job in owners.items() if job == _job(found) and name != found.directory.name]
    if beside and found.name != "PENDING":
        raise BadRequest(
            f"{found.id} runs in element {_job(found)} of its array, as do jobs {', '.join(beside)} after one another: "
            f"cancel the sweep with run={sweep.name}, or what is left of the element with scancel {_job(found)}"
        )
    return not beside


def _job(found: State) -> str | None:
    return found.handle.job if found.handle else None


def _cancel_slurm(found: State) -> bool:
    job, owner, pace = str(_job(found)), found.handle, controller.Pace()
    named = {one.handle.cluster for one in (found, *found.jobs) if one.handle and one.handle.cluster}
    if named and (elsewhere := named - {controller.cluster()}):
        raise Unfit(f"{found.id} is job {job} of Slurm cluster {', '.join(sorted(elsewhere))}: cancel it there")
    theirs = controller.directory(job)
    if theirs is not None and Path(os.path.realpath(theirs)) not in (found.directory, found.directory.parent):
        raise BadRequest(
            f"{found.id}: its {rundir.HANDLE} names Slurm job {job}, which is not of this run but of {theirs}: "
            "nothing is cancelled"
        )
    try:
        controller.cancel([job])
    except controller.Denied:
        raise Unfit(f"{found.id} is run by {owner and owner.user}, who alone can cancel it") from None

    def over() -> bool:
        if not pace.due():
            return False
        known = controller.states([job])
        return all(one.over for one in known.values())

    return _wait(found, over, lambda: f"Slurm has not ended job {job}: see scontrol show job {job}")


def _cancel_here(found: State) -> bool:
    """End a run whose owner is a process of this host; Raises Unfit for one of another."""
    owner, directories = found.handle, [job.directory for job in found.jobs] or [found.directory]
    if owner and owner.host != host.name():
        raise Unfit(f"{found.id} is run by process {owner.pid} of {owner.host}: cancel it there")

    def left() -> list[int]:
        return [pid for directory in directories for pid in living.of(directory)]

    try:
        of_a_sweep = not found.jobs and state.is_sweep(found.directory.parent)  # whose other jobs go on
        if not (_is_its(owner, found) and owner and not of_a_sweep and living.ask_to_end(owner.pid, owner)):
            for directory in directories:
                for pid in living.agents(directory)[:1]:  # the guard, which passes it on
                    living.ask_to_end(pid)
    except PermissionError:
        raise Unfit(
            f"{found.id} is run by {owner.user if owner else 'another user'}, who alone can cancel it"
        ) from None

    def over() -> bool:
        if left():
            return False
        if of_a_sweep and owner and owner.alive():
            return state.has_result(found.directory)
        return not _is_its(owner, found)

    return _wait(found, over, lambda: f"processes that do not end: {left() or (owner and owner.pid)}")


def _is_its(owner: Handle | None, found: State) -> bool:
    """Whether the process that a handle names lives, and is the launcher of this run indeed."""
    return bool(owner and owner.alive() and living.holds(owner.pid, found.directory))


def _wait(found: State, over: Callable[[], bool], what_is_left: Callable[[], str]) -> bool:
    """Until it is over, for as long as that takes by its grace period; then says what is left, and False."""
    plans = [read_json(d / rundir.PLAN) for d in (found.directory, found.directory / "0")]
    grace = max(float((plan.get("job") or {}).get("grace_period", 0)) for plan in plans)
    until = time.monotonic() + grace + _LEEWAY
    while not over():
        if time.monotonic() > until:
            print(f"primus: {what_is_left()}")
            return False
        time.sleep(_TICK)
    return True
