"""A Slurm cluster: a batch script starts the job's first process, which starts an agent on each node."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from primus.launch import frozen
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.replaying.original import Original
from primus.launch.slurm import array, output, script
from primus.launch.slurm.options import Settings
from primus.node.plan import File, Job, Plan
from primus.node.typed import read

if TYPE_CHECKING:
    from primus.launch.run import Ended
    from primus.launch.sweep.sweep import Ended as SweepEnded

__all__ = ["Settings", "command", "files", "single", "sweep", "sweep_command"]


def command(settings: Settings, place: Place) -> tuple[str, ...]:
    """What submits the job."""
    return ("sbatch", "--parsable", f"{{primus.run_dir}}/{script.NAME}")


def sweep_command(settings: Settings, sweep: Path) -> tuple[str, ...]:
    """What submits all jobs of a sweep, whose directory is `sweep`."""
    return ("sbatch", "--parsable", str(sweep / script.NAME))


def files(settings: Settings, job: Job, directory: Path, place: Place) -> tuple[File, ...]:
    """The batch script. Raises BadRequest for an option that sbatch does not have, or that is not the user's to set."""
    output.check(settings)
    return (File(script.NAME, script.build(settings, directory, first_process(place, directory))),)


def first_process(place: Place, directory: Path) -> tuple[str, ...]:
    """The command line of the job's first process; without site packages it begins in 50 ms."""
    program = place.primus / "launch" / "job" / "__main__.py"
    return (place.python, "-I", "-S", str(program), "--directory", str(directory))


def single(
    plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None
) -> "Ended":
    """Submit one job; follow it to its end unless it is to be detached."""
    from primus.launch.slurm import submission

    return submission.single(plan, request, place, secrets, original)


def sweep(
    directory: Path,
    plans: Sequence[Plan],
    request: Request,
    place: Place,
    secrets: Sequence[Mapping[str, str]],
    parallel: str | int,
    original: Original | None,
) -> "SweepEnded":
    """Submit all jobs as one array; follow them to their end unless they are to be detached."""
    from primus.launch.slurm import sweep

    return sweep.run(directory, plans, request, place, secrets, parallel, original)


def array_file(directory: Path, plans: Sequence[Plan], settings: Settings, place: Place) -> File:
    """The batch script of all jobs of a sweep, in its directory."""
    there = frozen.as_the_job_sees(place, directory) if settings.frozen else place
    indices = sorted(int(plan.run_id) for plan in plans)
    return File(script.NAME, array.script_of(settings, directory, first_process(there, directory), indices))


def sweep_files(
    directory: Path, plans: Sequence[Plan], request: Request, place: Place, secrets: Sequence[Mapping[str, str]]
) -> tuple[File, ...]:
    """What a sweep has beside the files of its jobs. Raises BadRequest for jobs that one array cannot hold."""
    array.common(plans, secrets)
    settings = read(Settings, request.runtime, "runtime")
    output.check(settings, array=True)
    return (array_file(directory, plans, settings, place),)
