"""`--shell`: in the place of the ranks, a program at the terminal, in the environment of the node's first rank.

It takes this process's place: the terminal, its signals and the exit status are the program's own. With a container in
the plan that happens inside; what an agent would be handed on its standard input comes through a FIFO of the run
directory then, for the input is the terminal: no secret is on a command line, in the engine's database, or on a disk.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Sequence, Tuple

from primus.node import container, guard, process, rundir
from primus.node.arguments import Arguments
from primus.node.devices import NoDevices
from primus.node.outcome import BAD_REQUEST, UNFIT
from primus.node.plan import Plan, from_json
from primus.node.prepare import prepare
from primus.node.rendezvous import alone

_SHELLS = ("/bin/bash", "/bin/sh")
_FIFO = "handover"
PATIENCE = 5.0
"""Seconds that a program has to end in once its terminal is gone: a shell may ignore that."""
_ROOM = 1 << 20
"""Bytes that the FIFO holds before anybody reads it: the most that a user may ask of Linux (pipe-max-size)."""


def run(arguments: Arguments) -> int:
    """Become the program, or hold its container; returns an exit code."""
    directory = arguments.plan.parent
    try:
        plan = from_json(arguments.plan.read_text(encoding="utf-8"))
        if arguments.inside:
            _receive(directory)
        elif container.wanted(arguments.plan):
            return _hold(plan, arguments)
        part = prepare(
            plan,
            directory,
            arguments.node_rank,
            arguments.devices,
            os.environ,
            lambda ranks, asked, gpus: alone(plan.run_id, asked),
        )
    except NoDevices as error:
        return _refuse(str(error), UNFIT)
    except (OSError, ValueError) as error:
        return _refuse(str(error), BAD_REQUEST)
    for warning in part.warnings:
        print(f"primus: {warning}", file=sys.stderr)
    rank = part.commands[0]
    try:
        (directory / rundir.rank_metrics(rank.rank)).parent.mkdir(parents=True, exist_ok=True)
        process.become(program(plan, rank.argv), env=rank.environ, cwd=rank.directory)
    except OSError as error:
        return _refuse(f"cannot run {rank.argv[0]} in {rank.directory}: {error.strerror}", UNFIT)
    return BAD_REQUEST  # not reached


def program(plan: Plan, argv: Sequence[str]) -> Tuple[str, ...]:
    """What is run: the command that was asked for, else the user's shell, or one that this node (its image) has."""
    task: Mapping[str, object] = plan.config.get("task") or {}
    if task.get("command") is not None or Path(argv[0]).is_file():
        return tuple(argv)
    return (next((shell for shell in _SHELLS if Path(shell).is_file()), argv[0]),)


def attend(child: "subprocess.Popen[bytes]", patience: float, end: Callable[[], object]) -> int:
    """Wait for a program that has the terminal; its exit code as a shell gives it.

    `end` is called when it has not ended `patience` seconds after it was told to.
    """
    with _signals(child, patience, end), child:
        code = child.wait()
    return 128 - code if code < 0 else code


def _hold(plan: Plan, arguments: Arguments) -> int:
    """Run the container, and see that it is gone afterwards."""
    from primus.node.container import engine, handover, starter

    assert plan.container
    environ = dict(os.environ)
    try:
        what = engine.identity(plan.container, environ)
        begun = starter.prepare(plan, arguments)
    except engine.NoImage as error:
        return _refuse(str(error), BAD_REQUEST)
    except (engine.NoEngine, ValueError) as error:
        return _refuse(str(error), UNFIT)
    begun = replace(begun, command=(*begun.command, "--shell"), interactive=sys.stdin.isatty())
    fifo = _fifo(arguments.plan.parent, handover.line(plan, environ, {**what, "name": begun.name}))
    remove = partial(engine.endings, plan.container, begun.name, 0.0, environ)
    try:
        return attend(process.start(engine.argv(begun), stdin=None, new_session=False), PATIENCE, remove)
    except OSError as error:
        return _refuse(f"{plan.container.engine} cannot be started: {error}", UNFIT)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING)  # who told this to end may be gone too, and says so
        os.close(fifo)
        remove()


def _fifo(directory: Path, line: bytes) -> int:
    """A FIFO that holds the line until it is read or this descriptor is closed. Raises OSError where it cannot be."""
    path = directory / _FIFO
    os.mkfifo(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)  # for both: to open it for writing alone would wait
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.fcntl(fd, 1031, _ROOM)  # F_SETPIPE_SZ, see supervise.py
    if os.write(fd, line) < len(line):
        raise OSError(f"the environment to hand on is larger than {_ROOM} bytes")
    return fd


def _receive(directory: Path) -> None:
    from primus.node.container import handover

    fd = os.open(directory / _FIFO, os.O_RDONLY | os.O_CLOEXEC)
    try:
        handover.receive(fd, os.environ)
    finally:
        os.close(fd)


@contextmanager
def _signals(child: "subprocess.Popen[bytes]", patience: float, end: Callable[[], object]) -> Iterator[None]:
    """The terminal sends its keys to both: here they are nothing. An end from outside is told as a terminal would."""

    def pass_on(number: int, frame: Any) -> None:
        child.send_signal(signal.SIGHUP)  # an interactive shell ignores SIGTERM
        signal.setitimer(signal.ITIMER_REAL, patience)

    def too_long(number: int, frame: Any) -> None:
        end()

    def nothing(number: int, frame: Any) -> None:
        return

    handlers: Dict[int, Any] = {
        signal.SIGINT: nothing,
        signal.SIGQUIT: nothing,
        signal.SIGTERM: pass_on,
        signal.SIGHUP: pass_on,
        signal.SIGALRM: too_long,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse(message: str, code: int) -> int:
    print(f"primus: {message}", file=sys.stderr)
    return code
