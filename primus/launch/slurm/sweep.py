"""A sweep given to Slurm as one job array: checked, written down, submitted; then followed, or left to itself."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from primus.launch import closing, handle, planning, readiness, rundirectory, snapshot, state
from primus.launch.alike import Alike
from primus.launch.config.request import Request
from primus.launch.frozen import storing
from primus.launch.place import Place
from primus.launch.problems import INTERRUPTED, JOB_FAILED, OK, BadRequest, Complaint
from primus.launch.replaying.original import Original
from primus.launch.run import Interrupts, tracking_uri
from primus.launch.running import Recorder
from primus.launch.runtime import slurm
from primus.launch.slurm import array, checks, controller, output, script
from primus.launch.slurm.options import Settings
from primus.launch.sweep import journal, sweep
from primus.launch.sweep.journal import Journal
from primus.launch.sweep.sweep import Ended
from primus.node import rundir
from primus.node.plan import Plan
from primus.node.typed import read


def run(
    where: Path,
    plans: Sequence[Plan],
    request: Request,
    place: Place,
    secrets: Sequence[Mapping[str, str]],
    parallel: str | int,
    original: Original | None,
) -> Ended:
    """Submit every job that has not finished yet, and unless `runtime.detach` follow them to their end.

    `parallel` is for launchers that run jobs here. Raises Complaint before anything is queued.
    """
    settings = read(Settings, request.runtime, "runtime")
    if original:
        from primus.launch.replaying import drift

        drift.report(original, plans[0], place, request.replay_strict)
    _check(where, plans, request, settings, place, secrets)
    first = int(plans[0].run_id)  # above 0 for the later batches of a sweeper that goes by earlier results
    earlier = journal.read(where) if first else None
    jobs = (*(earlier.jobs if earlier else ()), *(p.overrides for p in plans))
    entry = Journal(where.name, request.experiment.name, jobs)
    waiting = [plan for plan in plans if not journal.finished(Path(plan.directory))]
    kept = storing.take(place, planning.output_root(request, place)) if settings.frozen and waiting else None
    places = array.places([int(plan.run_id) for plan in waiting], settings.jobs_per_element)
    failed_before = bool(earlier and earlier.status == "FAILED")
    with Interrupts() as interrupts:
        job_id = _submit(where, entry, waiting, settings, place, secrets[0], kept, interrupts) if waiting else ""
        if settings.detach and waiting and not interrupts.count:
            print(_handle(where, job_id, waiting))
            return Ended(OK, [None] * len(plans))
        return _follow(where, entry, plans, request, job_id, places, failed_before, interrupts)


def _check(
    where: Path,
    plans: Sequence[Plan],
    request: Request,
    settings: Settings,
    place: Place,
    secrets: Sequence[Mapping[str, str]],
) -> None:
    array.common(plans, secrets)
    for plan in plans:
        readiness.check(plan, place)
    checks.output(where)
    waiting = [int(plan.run_id) for plan in plans if not journal.finished(Path(plan.directory))]
    checks.cluster(settings, place.environ, waiting)
    if request.tracking.enabled:
        checks.store(tracking_uri(request), where)
    _check_over(where, "sweep.resume" if request.sweep.resume else "runtime.detach")


def _check_over(where: Path, key: str) -> None:
    """Raise BadRequest where an earlier array of this sweep, detached and now resumed or followed by a batch, goes on.

    A job that has its result is over for us, though Slurm may be clearing up.
    """
    before = handle.of(where)
    owners = {d: owner for d in state.jobs(where) if (owner := handle.of(d))}
    checks.elsewhere(owners, key)
    states = controller.states([before.job_id]) if before and before.job_id else {}
    going = {job for job, known in states.items() if not known.over}
    living = [d for d, owner in owners.items() if owner.job in going and not state.has_result(d)]
    if before and living:
        raise BadRequest(
            f"{key}: {len(living)} jobs of array {before.job_id} are still in Slurm's hands: "
            f"wait for them, or cancel them with primus task=cancel run={shlex.quote(closing.short(where))}"
        )


def _submit(
    where: Path,
    entry: Journal,
    plans: Sequence[Plan],
    settings: Settings,
    place: Place,
    secrets: Mapping[str, str],
    kept: storing.Frozen | None,
    interrupts: Interrupts,
) -> str:
    """Write the sweep and the run directories of these jobs, and submit the array; returns its job id.

    An interrupt that comes before sbatch is called leaves nothing queued.
    """
    new = not where.exists()
    indices, each = [int(plan.run_id) for plan in plans], settings.jobs_per_element
    try:
        entry.write(where)
        snapshot.take(plans[0].code, where)
        alike = Alike()
        for plan in plans:
            if Path(plan.directory).exists():
                journal.set_aside(Path(plan.directory))
            directory = rundirectory.create(plan, alike)
            (directory / rundir.JOB_LOG).parent.mkdir(exist_ok=True)
            if kept:
                storing.link(kept, directory)
        if kept:
            storing.link(kept, where)
        file = slurm.array_file(where, plans, settings, place)
        rundir.write_text(where / file.path, file.text)
        if each > 1:
            array.link_logs(where, indices, each)
        environ = script.environment({**os.environ, **secrets}, file.text)
        interrupts.check()
        cluster = controller.cluster(environ)
        job_id = controller.submit(list(plans[0].command), environ)
    except (Complaint, KeyboardInterrupt):
        if new:
            shutil.rmtree(where, ignore_errors=True)
        raise
    # First those of the jobs: one that had but that of the sweep would be taken for the element of its own number.
    firsts = set(array.firsts(indices, each))
    for index, element in array.places(indices, each).items() if each > 1 else ():
        own = handle.ours("slurm", job_id, element, cluster)
        handle.write(where / str(index), replace(own, behind=index not in firsts))
    handle.write(where, handle.ours("slurm", job_id, cluster=cluster))
    output.link(settings, place.directory, job_id, [(Path(p.directory), p.run_id) for p in plans], where.name)
    return job_id


def _handle(where: Path, job_id: str, plans: Sequence[Plan]) -> str:
    word = shlex.quote(closing.short(where))
    rows = [
        ("array", f"{job_id}  ({len(plans)} jobs)"),
        ("sweep", f"{closing.short(where)}  (submitted)"),
        ("state", f"primus task=status run={word}"),
        ("cancel", f"primus task=cancel run={word}"),
    ]
    return "\n".join(f"{name:<8}{text}" for name, text in rows)


def _follow(
    where: Path,
    entry: Journal,
    plans: Sequence[Plan],
    request: Request,
    job_id: str,
    places: Mapping[int, int],
    failed_before: bool,
    interrupts: Interrupts,
) -> Ended:
    from primus.launch.slurm.elements import Elements  # here: 30 ms, which a detached sweep does not need

    if job_id:
        print(f"array   {job_id}  ({closing.short(where)})", flush=True)
    elements = Elements(plans, job_id, interrupts, places)
    recorders: list[Recorder] = []

    def record() -> None:
        if request.tracking.enabled and not recorders:
            recorders.append(Recorder(where, tracking_uri(request), request.tracking.wait))

    try:
        elements.to_the_end(record)
    finally:
        elements.table.close()
    record()
    before, failed = interrupts.count, elements.failed()
    status = "KILLED" if before else "FAILED" if failed or failed_before else "FINISHED"
    Journal(entry.id, entry.experiment, entry.jobs, status).write(where)
    complete = recorders[0].finish(lambda: interrupts.count > before) if recorders else sweep.report(where, plans)
    sweep.say(where, request, plans, elements.table, elements.results, complete)
    exit_code = INTERRUPTED if before else JOB_FAILED if failed else OK
    return Ended(exit_code, [row.loss for row in elements.table.rows])
