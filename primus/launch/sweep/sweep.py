"""A sweep from plans to record: pack the jobs on the devices, follow them, go on when one fails, say how it went."""

import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from primus.launch import attempts, closing, handle, readiness, rundirectory, snapshot
from primus.launch.config.request import Request
from primus.launch.place import Place, new_run_id
from primus.launch.planning import experiment_directory
from primus.launch.problems import INTERRUPTED, JOB_FAILED, OK
from primus.launch.replaying import drift
from primus.launch.replaying.original import Original
from primus.launch.run import Interrupts, NewestMetrics, tracking_uri
from primus.launch.running import Agent, Recorder
from primus.launch.sweep import journal
from primus.launch.sweep.journal import Journal
from primus.launch.sweep.packing import Placement, Pool
from primus.node import rundir
from primus.node.plan import Plan

if TYPE_CHECKING:
    from primus.launch.sweep.table import JobTable

_TICK = 0.02
"""Seconds between two looks at the jobs."""
_REPORTED = 3
"""Failed jobs whose root cause is printed; the others are named."""


@dataclass(frozen=True)
class Ended:
    """How a sweep ended: exit code, and the last loss of each job."""

    exit_code: int
    losses: list[float | None]


@dataclass
class Job:
    """A job that runs now."""

    index: int
    agent: Agent
    placement: Placement
    metrics: NewestMetrics


def directory(request: Request, place: Place, overrides: Sequence[Sequence[str]]) -> Path:
    """Where the sweep is kept: a new directory, or the unfinished one that `sweep.resume` takes up. Nothing is made."""
    experiment = experiment_directory(request, place)
    if request.sweep.resume:
        return journal.unfinished(experiment, journal.same_jobs(overrides))
    return experiment / new_run_id()


def run(
    where: Path,
    plans: Sequence[Plan],
    request: Request,
    place: Place,
    secrets: Sequence[Mapping[str, str]],
    parallel: str | int,
    original: Original | None,
) -> Ended:
    """Run every job that has not finished yet. Raises Complaint before anything is started."""
    if original:
        drift.report(original, plans[0], place, request.replay_strict)
    for plan in plans:
        readiness.check(plan, place)
    pool = Pool(place.devices.visible, tuple(sorted(os.sched_getaffinity(0))), parallel)
    first = int(plans[0].run_id)  # above 0 for the later batches of a sweeper that goes by earlier results
    earlier = journal.read(where) if first else None
    jobs = (*(earlier.jobs if earlier else ()), *(p.overrides for p in plans))
    entry = Journal(where.name, request.experiment.name, jobs)
    entry.write(where)
    handle.write(where, handle.ours(request.runtime["name"]))
    snapshot.take(plans[0].code, where)
    with Interrupts() as interrupts, attempts.running(where):
        recorder = None
        if request.tracking.enabled:
            recorder = Recorder(where, tracking_uri(request), request.tracking.wait)
        sweep = _Sweep(plans, secrets, pool, interrupts)
        try:
            sweep.run()
        finally:
            sweep.table.close()
        failed = sweep.failed()
        bad = failed or (earlier and earlier.status == "FAILED")
        before = interrupts.count
        status = "KILLED" if before else "FAILED" if bad else "FINISHED"
        Journal(entry.id, entry.experiment, entry.jobs, status).write(where)
        complete = recorder.finish(lambda: interrupts.count > before) if recorder else report(where, plans)
    say(where, request, plans, sweep.table, sweep.results, complete)
    exit_code = INTERRUPTED if before else JOB_FAILED if failed else OK
    return Ended(exit_code, [row.loss for row in sweep.table.rows])


class _Sweep:
    def __init__(
        self, plans: Sequence[Plan], secrets: Sequence[Mapping[str, str]], pool: Pool, interrupts: Interrupts
    ) -> None:
        self.plans, self._secrets, self._pool, self._interrupts = plans, secrets, pool, interrupts
        from primus.launch.sweep.table import JobTable  # here: 30 ms, which a sweep that is detached does not need

        self.table = JobTable(journal.changing(plans), int(plans[0].run_id))
        self.results: dict[int, dict[str, object]] = {}
        self._running: list[Job] = []

    def run(self) -> None:
        waiting = []
        for index, plan in enumerate(self.plans):
            before = journal.finished(Path(plan.directory))
            if before:
                self.table.set(index, "done before", {"step": before.get("step"), "loss": closing.loss(before)})
            else:
                waiting.append(index)
        while waiting or self._running:
            while waiting and not self._interrupts.count:
                placement = self._pool.take(self.plans[waiting[0]].job)
                if placement is None:
                    break
                self._start(waiting.pop(0), placement)
            if self._interrupts.count:
                waiting.clear()
            for job in [j for j in self._running if j.agent.over]:
                self._end(job)
            for job in self._running:
                newest = job.metrics.read()
                if newest:
                    self.table.set(job.index, "running", newest)
            time.sleep(_TICK)

    def _start(self, index: int, placement: Placement) -> None:
        plan = self.plans[index]
        if Path(plan.directory).exists():
            journal.set_aside(Path(plan.directory))
        made = rundirectory.create(plan)
        agent = Agent(plan, made, self._secrets[index], placement.arguments(), shown=False)
        self._interrupts.forward_to(agent)
        self._running.append(Job(index, agent, placement, NewestMetrics(made)))
        self.table.set(index, "running")

    def _end(self, job: Job) -> None:
        self._running.remove(job)
        self._pool.give_back(job.placement)
        result = job.agent.finish(self._interrupts.count > 0)
        self.results[job.index] = result
        last = {"step": result.get("step"), "loss": closing.loss(result)}
        self.table.set(job.index, str(result["status"]).lower(), last)

    def failed(self) -> list[int]:
        return sorted(i for i, r in self.results.items() if r["status"] != "FINISHED")


def report(where: Path, plans: Sequence[Plan]) -> bool:
    """What the recorder does beside its record, of a sweep that is not recorded."""
    from primus.launch.report import writing

    for plan in plans:
        writing.of_run(Path(plan.directory))
    writing.of_sweep(where)
    return True


def say(
    where: Path,
    request: Request,
    plans: Sequence[Plan],
    table: "JobTable",
    results: Mapping[int, Mapping[str, object]],
    complete: bool,
) -> None:
    """The last words of a sweep. `results` are those of this start, by place in `plans`."""
    failed = sorted(i for i, result in results.items() if result["status"] != "FINISHED")
    for index in failed[:_REPORTED]:
        print(f"job {plans[index].run_id}:", file=sys.stderr)
        print(closing.failure(Path(plans[index].directory), results[index]), file=sys.stderr)
    if len(failed) > _REPORTED:
        more = ", ".join(plans[index].run_id for index in failed[_REPORTED:])
        print(f"primus: failed as well: {more}", file=sys.stderr)
    if not complete:
        print(closing.incomplete(where), file=sys.stderr)
    rows = zip(table.rows, plans, strict=True)
    best = min(((row.loss, int(p.run_id)) for row, p in rows if row.loss is not None), default=None)
    good = sum(row.state in ("finished", "done before") for row in table.rows)
    print(f"sweep   {closing.short(where)}  ({good} of {len(plans)} jobs finished)")
    print(f"best    loss {best[0]:.4f}, job {best[1]}" if best else "best    no loss reported")
    if (where / rundir.REPORT).is_file():
        print(f"report  {closing.short(where / rundir.REPORT)}")
    print(f"browse  {closing.browse(request)}")
    example = where / (str(best[1]) if best else plans[0].run_id)
    print(f"replay  primus replay={shlex.quote(closing.short(example))}")
