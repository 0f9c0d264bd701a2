"""`task=shell`: an interactive shell in exactly the environment that rank 0 would get; nothing is recorded.

It is planned as a job of one node, so that the same functions resolve the same environment, and its run directory is a
temporary one: `<output.root>/.shell/<run id>`, where the node (and the container on it) can see it.
"""

import contextlib
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from primus.launch import container, rundirectory
from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit
from primus.launch.replaying.original import Original
from primus.launch.runtime import direct
from primus.launch.slurm import controller, script, terminal
from primus.launch.slurm.options import Settings as Slurm
from primus.launch.task import Work
from primus.node import process
from primus.node.plan import Plan, fill
from primus.node.shell import PATIENCE, attend
from primus.node.typed import read

if TYPE_CHECKING:
    from primus.launch.run import Ended

_FOLDER = ".shell"
_HELD = 60.0
"""Seconds after which what holds a container, or an allocation, is ended although it has not let go of it."""


@dataclass(frozen=True)
class Settings:
    """`command` runs instead of the user's shell: a list, or text that is split as a shell would, without a shell."""

    name: str
    command: tuple[str, ...] | str | None


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The shell, with what the backend gives its ranks. Raises BadRequest for quotes that do not close."""
    try:
        words = shlex.split(task.command) if isinstance(task.command, str) else task.command
    except ValueError as error:
        raise BadRequest(f"task.command: {error}: {task.command}") from None
    backend = typed(Backend, request.backend, "backend", source)
    shell = (place.environ.get("SHELL") or "/bin/sh",)
    return Work(tuple(words or shell), backend=backend.name, environment=backend.environment)


def adapted(plan: Plan, place: Place) -> Plan:
    """The plan of a shell: one node, a directory that does not stay, and the command that opens it at a terminal.

    It works on the source tree as it is, queued or not: nothing is frozen. Raises BadRequest for options of Slurm.
    """
    directory = Path(plan.directory).parents[1] / _FOLDER / plan.run_id
    job = replace(plan.job, nodes=1, directory=str(place.directory))
    plan = replace(plan, directory=str(directory), files=(), hooks=(), patches=(), job=job)
    words = (*direct.command(direct.Settings("direct", 1), place), "--shell")
    if _in_slurm(plan):
        words = terminal.argv(read(Slurm, plan.config["runtime"], "runtime"), plan, place, words)
    return replace(plan, command=words)


def single(
    plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None
) -> "Ended":
    """Open it; the exit code is its own. Raises Complaint without a terminal, or where it cannot be opened."""
    from primus.launch.run import Ended

    at_terminal = sys.stdin.isatty()
    if request.task.get("command") is None and not at_terminal:
        raise BadRequest("task=shell needs a terminal; to run one program there, give task.command=…")
    environ = dict(place.environ)
    if _in_slurm(plan):
        if plan.container:
            container.look(plan)
        controller.check_reachable(environ)
        environ = script.environment(environ, "")
    elif plan.container:
        container.check(plan, place)
    directory = rundirectory.create(plan)
    try:
        argv = [fill(word, {"run_dir": str(directory)}) for word in plan.command]
        if not at_terminal and terminal.PTY in argv:
            argv.remove(terminal.PTY)
        child = process.start(argv, env={**environ, **secrets}, cwd=str(place.directory), stdin=None, new_session=False)
        return Ended(attend(child, _HELD if plan.container or _in_slurm(plan) else PATIENCE, child.kill), None)
    except OSError as error:
        raise Unfit(f"task=shell: cannot start {plan.command[0]}: {error.strerror}") from None
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):  # another shell's is there
            directory.parent.rmdir()


def _in_slurm(plan: Plan) -> bool:
    return bool(plan.config["runtime"]["name"] == "slurm")
