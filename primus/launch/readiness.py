"""Whether a plan can run at all on this machine: asked just before the start, when nothing has been written yet."""

import shutil

from primus.launch.backend import interpreter
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node.plan import Plan


def check(plan: Plan, place: Place) -> None:
    """Raise BadRequest for a program that is missing, and Unfit, with the command that mends it, for a backend."""
    choice = interpreter.of_plan(plan, place)
    if choice and choice.problem:
        raise choice.problem
    program = plan.job.command[0]
    if not shutil.which(program, path=place.environ.get("PATH")):
        raise BadRequest(
            f"{'backend.python' if plan.backend else 'task.command'}: there is no program {program!r} that can be run"
        )
