"""`task=shell`: an interactive shell in exactly the environment that rank 0 would get; nothing is recorded.

It is planned as a job of one node, so that the same functions resolve the same environment, and its run directory is a
temporary one: `<output.root>/.shell/<run id>`, where the node (and the container on it) can see it.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from primus.launch import rundirectory
from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit
from primus.launch.replaying.original import Original
from primus.launch.runtime import direct
from primus.launch.task import Work
from primus.node import process
from primus.node.plan import Plan, fill

if TYPE_CHECKING:
    from primus.launch.run import Ended

_FOLDER = ".shell"


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
    """The plan of a shell: one node, a directory that does not stay, and the command that opens it at a terminal."""
    directory = Path(plan.directory).parents[1] / _FOLDER / plan.run_id
    plan = replace(plan, directory=str(directory), files=(), job=replace(plan.job, nodes=1))
    return replace(plan, command=(*direct.command(direct.Settings("direct", 1), place), "--shell"))


def single(
    plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None
) -> "Ended":
    """Open it; the exit code is its own. Raises BadRequest without a terminal, or where nothing can be written."""
    from primus.launch.run import Ended

    if request.task.get("command") is None and not sys.stdin.isatty():
        raise BadRequest("task=shell needs a terminal; to run one program there, give task.command=…")
    directory = rundirectory.create(plan)
    try:
        argv = [fill(word, {"run_dir": str(directory)}) for word in plan.command]
        return Ended(_run(argv, {**place.environ, **secrets}, plan.job.directory), None)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):  # another shell's is there
            directory.parent.rmdir()


def _run(argv: list[str], environ: Mapping[str, str], directory: str) -> int:
    """In this process's own group, which has the terminal; its keys are the shell's meanwhile."""
    try:
        child = process.start(argv, env=environ, cwd=directory, stdin=None, new_session=False)
    except OSError as error:
        raise Unfit(f"task=shell: cannot start {argv[0]}: {error.strerror}") from None
    with _signals(child), child:
        code = child.wait()
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _signals(child: "subprocess.Popen[bytes]") -> Any:
    """The terminal sends its keys to both: here they are nothing. An end from outside is told as a terminal would."""

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGHUP)  # an interactive shell ignores SIGTERM

    handlers: dict[signal.Signals, Any] = {
        signal.SIGINT: lambda *_: None,
        signal.SIGQUIT: lambda *_: None,
        signal.SIGTERM: pass_on,
        signal.SIGHUP: pass_on,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
