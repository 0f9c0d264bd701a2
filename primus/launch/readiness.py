"""Whether a plan can run at all on this machine: asked just before the start, when nothing has been written yet."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from primus.launch.members import member
from primus.launch.problems import BadRequest
from primus.node.plan import Plan


def check(plan: Plan) -> None:
    """Raise BadRequest, with what mends it, when nodes, the interpreter or the backend are missing."""
    runtime, nodes = plan.config["runtime"]["name"], plan.job.nodes
    if runtime == "direct" and nodes > 1:
        raise BadRequest(
            f"runtime.nodes: {nodes}, and runtime=direct runs on this machine alone. Here dry_run=true shows the plan; "
            "to run on one node take runtime.nodes=1 and fewer ranks"
        )
    program = plan.job.command[0]
    if not shutil.which(program, path=os.environ.get("PATH")):
        raise BadRequest(_no_program(plan, program))
    if not plan.backend or Path(program) != Path(sys.executable):
        return  # another interpreter: its ranks say what it lacks
    backend = member("backend", plan.backend)
    missing = [name for name in backend.PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BadRequest(
            f"backend={plan.backend} is not installed here ({', '.join(missing)} cannot be imported). "
            "Install it with:\n"
            f"  {sys.executable} -m pip install '{backend.EXTRA}'"
        )


def _no_program(plan: Plan, program: str) -> str:
    key = "backend.python" if plan.backend else "task.command"
    return f"{key}: there is no program {program!r} that can be run"
