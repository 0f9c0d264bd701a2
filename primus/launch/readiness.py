"""Whether a plan can run at all on this machine: asked just before the start, when nothing has been written yet."""

import shutil

from primus.launch import container
from primus.launch.backend import interpreter
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node.plan import Plan


def check(plan: Plan, place: Place) -> None:
    """Raise BadRequest for nodes that cannot be reached and for a program that is missing; Unfit, with the command that
    mends it, for a backend. In a container: for the image, the mounts and the engine.
    """
    runtime, nodes = plan.config["runtime"]["name"], plan.job.nodes
    if runtime in ("direct", "container") and nodes > 1:
        raise BadRequest(
            f"runtime.nodes: {nodes}, and runtime={runtime} runs on this machine alone. Here dry_run=true shows the "
            "plan; to run on one node take runtime.nodes=1 and fewer ranks"
        )
    if plan.container:  # programs and packages are the image's
        if runtime == "container":
            container.check(plan, place)
        else:  # the nodes tell, whose engine and files need not be here
            container.look(plan)
        return
    choice = interpreter.of_plan(plan, place)
    if choice and choice.problem:
        raise choice.problem
    if not plan.job.command:
        return
    program = plan.job.command[0]
    if not shutil.which(program, path=place.environ.get("PATH")):
        raise BadRequest(
            f"{'backend.python' if plan.backend else 'task.command'}: there is no program {program!r} that can be run"
        )
