"""One job given to Slurm: checked, written down, submitted; then followed, or left to itself."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from primus.launch import attempts, closing, handle, planning, readiness, snapshot
from primus.launch.config.request import Request
from primus.launch.frozen import storing
from primus.launch.place import Place
from primus.launch.problems import INTERRUPTED, BadRequest, Complaint
from primus.launch.replaying.original import Original
from primus.launch.run import Ended, Interrupts, tracking_uri
from primus.launch.slurm import checks, controller, output, script
from primus.launch.slurm.following import Following
from primus.launch.slurm.options import Settings
from primus.node import rundir
from primus.node.plan import Plan, fill
from primus.node.typed import read

TRACKING = "PRIMUS_TRACKING_URI"
"""Variable by which the job's first process learns where to record: the plan has the address without its password."""


def single(plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None) -> Ended:
    """Submit, and unless `runtime.detach` follow to the end. Raises Complaint before anything is queued."""
    settings = read(Settings, request.runtime, "runtime")
    if original:
        from primus.launch.replaying import drift

        drift.report(original, plan, place, request.replay_strict)
    readiness.check(plan, place)
    check(plan, request, settings, place)
    resumes = original is not None and original.purpose == "resume"
    if resumes:
        _check_over(Path(plan.directory))
    kept = storing.take(place, planning.output_root(request, place)) if settings.frozen else None
    with Interrupts() as interrupts:
        job_id, shown_from = _submitted(plan, request, place, secrets, kept, resumes, interrupts)
        links = output.link(settings, place.directory, job_id, [(Path(plan.directory), "")], plan.run_id)
        if settings.detach and not interrupts.count:
            print(_handle(plan, Path(plan.directory), job_id, links))
            return Ended(0, None)
        print(f"job     {job_id}  ({closing.short(Path(plan.directory))})", flush=True)
        following = Following(plan, request, job_id, shown_from, interrupts)
        result, complete = following.to_the_end()
    closing.say(plan, request, result, complete)
    exit_code = INTERRUPTED if interrupts.count and result["status"] == "KILLED" else int(str(result["exit_code"]))
    return Ended(exit_code, closing.loss(result))


def _submitted(
    plan: Plan,
    request: Request,
    place: Place,
    secrets: Mapping[str, str],
    kept: storing.Frozen | None,
    resumes: bool,
    interrupts: Interrupts,
) -> tuple[str, int]:
    """Write the run directory and submit; the job id, and where in logs/job.log this start begins, in bytes.

    An interrupt that comes before sbatch is called leaves nothing behind; one that comes later finds the job and its
    handle, never one without the other.
    """
    with attempts.opened(plan, again=resumes) as directory:
        (directory / rundir.JOB_LOG).parent.mkdir(exist_ok=True)
        snapshot.take(plan.code, directory)
        if kept:
            storing.link(kept, directory)
        shown_from = size(directory / rundir.JOB_LOG)
        try:
            interrupts.check()
            return submit(plan, directory, request, place, secrets), shown_from
        except (Complaint, KeyboardInterrupt):
            if not resumes:  # nothing is queued: nothing stays behind
                shutil.rmtree(directory, ignore_errors=True)
            raise


def check(plan: Plan, request: Request, settings: Settings, place: Place) -> None:
    """Everything that can be known to be wrong before the job waits in a queue. Raises Complaint."""
    checks.output(Path(plan.directory))
    output.check_free(settings, place.directory)
    checks.cluster(settings, place.environ)
    if request.tracking.enabled:
        checks.store(tracking_uri(request), Path(plan.directory))


def _check_over(directory: Path) -> None:
    """Raise BadRequest for a run whose last job has not ended: it may be waiting to go on by itself."""
    earlier = handle.of(directory)
    if not earlier or not earlier.job or checks.elsewhere({directory: earlier}, "resume"):
        return
    state = controller.states([earlier.job]).get(earlier.job)
    if state and not state.over:
        raise BadRequest(f"resume: {directory} goes on as Slurm job {earlier.job}, which is {state.name}")


def submit(plan: Plan, directory: Path, request: Request, place: Place, secrets: Mapping[str, str]) -> str:
    """Give the script in `directory` to sbatch and write the handle; returns the job id. Raises Complaint.

    The secrets go with the environment, as all that `sbatch --export=ALL` hands on: to Slurm, and into no file of ours.
    """
    argv = [fill(word, {"run_dir": str(directory)}) for word in plan.command]
    text = (directory / script.NAME).read_text(encoding="utf-8")
    environ = script.environment({**os.environ, **secrets}, text)
    uri = tracking_uri(request)
    if uri:
        environ[TRACKING] = uri
    cluster = controller.cluster(environ)  # before the job is there: it completes the handle of a launcher that died
    job_id = controller.submit(argv, environ)
    handle.write(directory, handle.ours("slurm", job_id, cluster=cluster))
    return job_id


def size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _handle(plan: Plan, directory: Path, job_id: str, links: Sequence[Path]) -> str:
    where = shlex.quote(closing.short(directory))
    rows = [
        ("job", job_id),
        ("run", f"{closing.short(directory)}  (submitted)"),
        *(("log", closing.short(path)) for path in links),
        ("state", f"primus task=status run={where}"),
        ("follow", f"primus task=logs run={where} follow=true"),
        ("cancel", f"primus task=cancel run={where}"),
    ]
    return "\n".join(f"{name:<8}{text}" for name, text in rows)
