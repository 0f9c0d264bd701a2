"""A Slurm cluster: a batch script starts the job's first process, which starts an agent on each node."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.replaying.original import Original
from primus.launch.slurm import script
from primus.launch.slurm.options import Settings
from primus.node.plan import File, Job, Plan

if TYPE_CHECKING:
    from primus.launch.run import Ended

__all__ = ["Settings", "command", "files", "single"]


def command(settings: Settings, place: Place) -> tuple[str, ...]:
    """What submits the job."""
    return ("sbatch", "--parsable", f"{{primus.run_dir}}/{script.NAME}")


def files(settings: Settings, job: Job, directory: Path, place: Place) -> tuple[File, ...]:
    """The batch script. Raises BadRequest for an option that sbatch does not have, or that is not the user's to set."""
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
