"""The state of runs, worked out each time from what they left, from the processes here, and from Slurm."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch import handle, living, outcome
from primus.launch.handle import Handle
from primus.launch.problems import Unfit
from primus.launch.record.files import node_reports, read_json
from primus.launch.replaying import sound
from primus.launch.slurm import controller
from primus.launch.slurm.controller import State as Job
from primus.node import rundir

SWEEP = "sweep.json"
OVER = ("FINISHED", "FAILED", "KILLED")
SIGN_OF_LIFE = 60.0
"""Seconds after its last written line that a run on another host is taken to be running."""


@dataclass(frozen=True)
class State:
    """What is known of a run or a sweep.

    `name` is PENDING, RUNNING, FINISHED, FAILED, KILLED, LOST (no owner is left, and no result) or UNKNOWN (its host or
    its cluster cannot be asked from here); `reason` says why. Times are seconds since the epoch. `jobs` are those of a
    sweep; of one that has not begun there is no directory yet.
    """

    directory: Path
    id: str
    name: str
    reason: str = ""
    task: str = ""
    what: str = ""
    exit_code: int | None = None
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    step: int | None = None
    metrics: Mapping[str, float] | None = None
    where: str = ""
    handle: Handle | None = None
    slurm: Job | None = None
    jobs: tuple["State", ...] = ()

    @property
    def over(self) -> bool:
        """Whether its result is there."""
        return self.name in OVER

    @property
    def living(self) -> bool:
        """Whether it waits or runs."""
        return self.name in ("PENDING", "RUNNING")

    @property
    def seconds(self) -> float | None:
        """How long it ran, or has been running."""
        if self.started is None:
            return None
        return (self.ended or time.time()) - self.started

    @property
    def age(self) -> float:
        """Seconds since it was submitted."""
        return time.time() - (self.submitted or self.started or time.time())


def read(directory: Path) -> State:
    """The state of one run or sweep."""
    return read_all([directory])[0]


def read_all(directories: Sequence[Path]) -> list[State]:
    """The state of each, in their order; with one question about jobs to Slurm's controller, however many there are."""
    every = [run for directory in directories for run in (directory, *jobs(directory))]
    known = _ask([owner for run in every if (owner := _asked(run)) and owner.job])
    return [_sweep(d, known) if is_sweep(d) else _run(d, known) for d in directories]


def is_sweep(directory: Path) -> bool:
    """Whether a directory is that of a sweep."""
    return (directory / SWEEP).is_file()


def jobs(directory: Path) -> list[Path]:
    """The directories of the jobs of a sweep, whether or not they are there yet; none for a run."""
    told = read_json(directory / SWEEP).get("jobs")
    indices = [job.get("index") for job in told if isinstance(job, dict)] if isinstance(told, list) else []
    return [directory / str(index) for index in indices if type(index) is int and index >= 0]


def has_result(directory: Path) -> bool:
    """Whether a run's result is there. Lists the folder: NFS remembers for a while that a file was not there."""
    try:
        return rundir.RESULT in os.listdir(directory)
    except OSError:
        return False


@dataclass(frozen=True)
class _Slurm:
    """The Slurm that is asked from here: the jobs that it knows, None where none answers, and its cluster's name."""

    jobs: Mapping[str, Job] | None
    cluster: str | None = None


def _ask(owners: Sequence[Handle]) -> _Slurm:
    try:
        here = controller.cluster() if any(owner.cluster for owner in owners) else None
        return _Slurm(controller.states(sorted({str(o.job) for o in owners if not o.foreign(here)})), here)
    except Unfit:
        return _Slurm(None)


def _asked(run: Path) -> Handle | None:
    """The handle of a run that Slurm is to be asked about."""
    if is_sweep(run):
        return None
    status = read_json(run / rundir.RESULT).get("status")
    return handle.of(run) if status in (None, "KILLED") else None  # Slurm may start again what it has killed


def written(directory: Path) -> tuple[dict[str, Any], dict[str, Any], dict[int, dict[str, Any]]]:
    """The plan, the result and the reports of the nodes of a run, empty where they are not there.

    Raises ValueError where their parts are not of the kind that Primus writes: they are a stranger's then.
    """
    try:
        plan = sound.plan(read_json(directory / rundir.PLAN))
        result = sound.result(read_json(directory / rundir.RESULT) or None) or {}
        return plan, result, {n: sound.node(report) for n, report in node_reports(directory).items()}
    except ValueError as error:
        raise ValueError(f"its files are none of Primus's: {error}") from None


def ended(directory: Path) -> bool:
    """Whether a result is there that no later start of the same job will set aside."""
    if not has_result(directory):
        return False
    owner = handle.of(directory)
    return not (owner and owner.job) or read_json(directory / rundir.RESULT).get("status") != "KILLED"


def _run(directory: Path, known: _Slurm, again: bool = False) -> State:
    try:
        plan, result, reports = written(directory)
    except ValueError as error:
        return State(directory, directory.name, "UNKNOWN", str(error))
    owner = handle.of(directory)
    foreign = owner is not None and owner.foreign(known.cluster)
    job = (known.jobs or {}).get(owner.job) if owner and owner.job and not foreign else None
    shares = owner is not None and owner.shares(directory)
    if job and not job.over and not shares and result.get("status") == "KILLED":
        result = {}
    if result:
        name, reason = str(result["status"]), str(result.get("message") or "")
    elif owner and owner.job and foreign:
        name, reason = "UNKNOWN", f"its Slurm cluster {owner.cluster} alone can tell of it: this one is {known.cluster}"
    elif owner and owner.job:
        name, reason = _in_slurm(owner.job, job, known.jobs is None)
        if name == "RUNNING" and shares and not reports:
            name, reason = "PENDING", f"waits for the jobs before it in {owner.job}"
    else:
        name, reason = _here(directory, owner, bool(plan))
    if name == "LOST" and not result and has_result(directory):  # it ended between the two looks
        if not again:
            return _run(directory, known, again=True)
        name, reason = "UNKNOWN", f"its {rundir.RESULT} cannot be read"
    step, metrics = outcome.last_metrics(directory) if not result else (result.get("step"), result.get("metrics"))
    began = min((report["time"] for report in reports.values() if "time" in report), default=None)
    return State(
        directory=directory,
        id=f"{plan['sweep']}/{directory.name}" if plan.get("sweep") else directory.name,
        name=name,
        reason=reason,
        task=str(plan.get("task", "")),
        what=_what(plan),
        exit_code=result.get("exit_code"),
        submitted=owner.submitted if owner else began,
        started=result.get("started") if result else None if name == "PENDING" else began,
        ended=result.get("ended"),
        step=step,
        metrics=metrics,
        where=_where(owner, job, reports),
        handle=owner,
        slurm=job,
    )


def _in_slurm(job_id: str, job: Job | None, unreachable: bool) -> tuple[str, str]:
    if unreachable:
        return "UNKNOWN", "its Slurm cluster cannot be reached from here"
    if job is None:
        return "LOST", f"Slurm knows nothing of job {job_id} any more, and it left no result"
    if job.pending:
        return "PENDING", job.reason or ("" if job.name == "PENDING" else job.name)
    if not job.over:
        return "RUNNING", "" if job.name == "RUNNING" else job.name
    return "LOST", f"Slurm job {job_id} is {job.name}" + (f" on {job.nodes}" if job.nodes else "")


def _here(directory: Path, owner: Handle | None, begun: bool) -> tuple[str, str]:
    """A run whose owner is a process."""
    alive = owner.alive() if owner else False
    if alive:
        return ("RUNNING", "") if begun else ("PENDING", "waits for the jobs before it")
    if alive is None and owner:
        silence = time.time() - _last_sign(directory)
        if silence < SIGN_OF_LIFE:
            return "RUNNING", ""
        return "UNKNOWN", f"it began on {owner.host}, which only that host can tell of; silent for {duration(silence)}"
    if not begun:
        return "KILLED", "its sweep ended before it began"
    if living.of(directory):
        return "RUNNING", "its launcher is gone: its processes are ending"
    return "LOST", "its launcher is gone, and it left no result"


def _last_sign(directory: Path) -> float:
    files = [p for folder in ("logs", "metrics", "nodes") for p in (directory / folder).rglob("*") if p.is_file()]
    return max((p.stat().st_mtime for p in files), default=0.0)


def _sweep(directory: Path, known: _Slurm) -> State:
    content, owner = read_json(directory / SWEEP), handle.of(directory)
    every = tuple(_run(d, known) for d in jobs(directory))
    status = content.get("status")
    began = [job.started for job in every if job.started]
    ended = [job.ended for job in every if job.ended]
    best = min((job.metrics["loss"] for job in every if job.metrics and "loss" in job.metrics), default=None)
    return State(
        directory=directory,
        id=directory.name,
        name=str(status or _of_sweep(owner, [job.name for job in every])),
        reason=counts(every),
        task="sweep",
        what=next((job.task for job in every if job.task), ""),
        submitted=owner.submitted if owner else min(began, default=None),
        started=min(began, default=None),
        ended=max(ended, default=None) if not any(job.living for job in every) else None,
        metrics={"loss": best} if best is not None else None,
        where=_where(owner, None, {}),
        handle=owner,
        jobs=every,
    )


def _of_sweep(owner: Handle | None, names: Sequence[str]) -> str:
    """The state of a sweep from those of its jobs: what is most in want of attention, once nothing runs."""
    if owner and not owner.job and owner.alive():
        return "RUNNING"
    order = ("RUNNING", "PENDING", "UNKNOWN", "LOST", "FAILED", "KILLED")
    if "PENDING" in names and set(names) & set(OVER):
        return "RUNNING"
    return next((name for name in order if name in names), "FINISHED")


def counts(every: Sequence[State]) -> str:
    """`8 jobs: 3 finished, 1 failed, 4 pending`."""
    names = [job.name for job in every]
    told = ", ".join(f"{names.count(name)} {name.lower()}" for name in dict.fromkeys(sorted(names)))
    return f"{len(names)} job{'s' if len(names) != 1 else ''}: {told}"


def _what(plan: Mapping[str, Any]) -> str:
    """`torchtitan/llama3_8b` of a job that has a backend; the command of another."""
    config, job = plan.get("config", {}), plan.get("job", {})
    if plan.get("backend"):
        return f"{plan['backend']}/{config.get('model', {}).get('name', '?')}"
    return Path(str((job.get("command") or [""])[0])).name


def _where(owner: Handle | None, job: Job | None, reports: Mapping[int, Mapping[str, Any]]) -> str:
    hosts = list(dict.fromkeys(str(report["host"]) for report in reports.values() if report.get("host")))
    on = job.nodes if job and job.nodes else ",".join(hosts[:4]) + (",..." if len(hosts) > 4 else "")
    if owner and owner.job:
        return f"job {owner.job}" + (f" on {on}" if on else "")
    return on or (owner.host if owner else "")


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
