"""On the host of a node: holds the engine's client, whose standard input is the lifeline of the agent inside.

As around an agent two processes watch: the guard and this. Whichever of them, of the client, or of the launcher is
killed, the agent's input ends and it ends its ranks; then the container is removed by name, should it still be there.
"""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import Callable, Dict, Iterator, Mapping, Optional, Tuple

from primus.node import guard, host, process, rundir
from primus.node.arguments import Arguments
from primus.node.container import engine, handover, mounts
from primus.node.container.node import survey
from primus.node.container.start import Start
from primus.node.facts import Facts
from primus.node.loop import Loop
from primus.node.outcome import BAD_REQUEST, UNFIT, Outcome, unfit
from primus.node.plan import Container, Plan, from_json

_LEEWAY = 20.0
"""Seconds that a job has to end beyond its grace period, after it was asked to: then its container is removed."""
_TAIL = 2000
"""Bytes of the engine's errors that are kept to say why there was no agent."""


def run(arguments: Arguments) -> int:
    """Run this node's part of the plan in its container; returns the exit code of the agent inside."""
    try:
        plan = from_json(arguments.plan.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"primus: the node agent cannot run {arguments.plan}: {error}", file=sys.stderr)
        return BAD_REQUEST
    assert plan.container
    files = _Files(arguments)
    environ = dict(os.environ)
    try:
        with _stoppable():
            what = engine.identity(plan.container, environ)
            begun = prepare(plan, arguments)
    except _Stopped as stopped:
        return files.stop(stopped.signum)
    except engine.NoImage as error:
        return files.refuse(str(error), BAD_REQUEST)
    except (engine.NoEngine, ValueError) as error:
        return files.refuse(str(error), UNFIT)

    def body(pipe: int) -> int:
        client = _Client(plan, begun, handover.line(plan, environ, {**what, "name": begun.name}), files)
        return client.run(pipe, arguments.lifeline)

    def lost(code: int) -> None:
        _remove(plan, begun)
        files.conclude(f"what held the container was ended by {process.signal_name(code) or code}", code)

    return guard.run(body, lost)


class _Stopped(Exception):
    """A signal came before there was anything to pass it on to."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


@contextmanager
def _stoppable() -> Iterator[None]:
    """Requests to end raise _Stopped: an engine may be fetching an image for an hour."""

    def stop(signum: int, frame: object) -> None:
        raise _Stopped(signum)

    signums = [signum for signum in guard.handled() if signum in guard.ENDING]
    for signum in signums:
        signal.signal(signum, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signums)  # which the launcher holds back until now
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, guard.handled())  # until the guard has its own handlers


def prepare(plan: Plan, arguments: Arguments) -> Start:
    """The container of this node. Raises ValueError for what cannot be mounted."""
    assert plan.container
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    words = engine.agent_command(plan.container, package, (*arguments.again(), *_cores(arguments)))
    name = engine.container_name(plan, arguments.node_rank, os.urandom(4).hex())
    begun = engine.start(plan, survey(plan.job.gpu), package, name, words)
    wrong = mounts.problems(begun.mounts, engine.separators(plan.container.engine))
    if wrong:
        raise ValueError(f"the container cannot have these mounts on {host.name()}: {'; '.join(wrong)}")
    return begun


def _cores(arguments: Arguments) -> Tuple[str, ...]:
    """Slurm keeps its tasks to some cores, and a daemon's container knows nothing of that: the agent does it again."""
    usable = sorted(os.sched_getaffinity(0))
    if arguments.cores is not None or len(usable) == os.cpu_count():
        return ()
    return (f"--cores={','.join(map(str, usable))}",)


class _Client:
    """The engine's client, from its start to its end."""

    def __init__(self, plan: Plan, begun: Start, line: bytes, files: "_Files") -> None:
        self._plan, self._begun, self._files = plan, begun, files
        self._line = line
        self._tail = b""
        self._asked: Dict[str, int] = {}
        self._loop = Loop()

    def run(self, guard_pipe: int, lifeline: Optional[int]) -> int:
        """Start it, pass on what comes, and clean up after it."""
        self._loop.on_signals([signal.SIGCHLD, *guard.handled()], self._requests("own"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, guard.handled())
        try:
            self._client = process.start(engine.argv(self._begun), stdin=process.PIPE, stderr=process.PIPE, pass_fds=())
        except OSError as error:
            return self._files.refuse(f"{self._begun.container.engine} cannot be started: {error}", UNFIT)
        assert self._client.stdin
        assert self._client.stderr
        self._input: Optional[int] = self._client.stdin.fileno()
        self._tell(self._line)
        self._watch(guard_pipe, self._requests("guard"))
        if lifeline is not None:
            os.set_inheritable(lifeline, False)
            self._watch(lifeline, self._requests("lifeline"))
        errors = self._client.stderr.fileno()

        def read() -> None:
            self._pass_on(errors)

        self._loop.on_readable(errors, read)
        while self._client.poll() is None:
            self._loop.turn()
        self._drain(errors)
        return self._ended(self._client.returncode)

    def _ended(self, status: int) -> int:
        code = 128 - status if status < 0 else status
        if status < 0 or self._files.outcome() is None:  # else the client has seen the container removed
            _remove(self._plan, self._begun)
        said = " ".join(self._tail.decode(errors="replace").split())
        engine_name = self._begun.container.engine
        how = process.signal_name(code)
        began = f"the container was ended by {how}" if how else f"the container ended with exit code {code}"
        never = f"{engine_name} could not run the container: {said or f'exit code {code}'}"
        return self._files.conclude(began, code, never)

    def _watch(self, fd: int, handle: Callable[[int], None]) -> None:
        def read() -> None:
            signums = os.read(fd, 4096)
            for signum in signums:
                handle(signum)
            if not signums:
                self._loop.forget(fd)
                self._close()
                self._limit(_LEEWAY + self._plan.job.grace_period)

        self._loop.on_readable(fd, read)

    def _requests(self, way: str) -> Callable[[int], None]:
        """Signals that come one way. Slurm sends them to each process of a step: those of two ways are the same."""

        def handle(signum: int) -> None:
            if signum == signal.SIGCHLD:
                return
            if signum in guard.FORWARDED:
                self._tell(bytes([signum]))
                return
            before = max(self._asked.values(), default=0)
            self._asked[way] = self._asked.get(way, 0) + 1
            if self._asked[way] > before:
                self._tell(bytes([signum]))
                self._limit(_LEEWAY if before else _LEEWAY + self._plan.job.grace_period)

        return handle

    def _limit(self, seconds: float) -> None:
        def too_long() -> None:
            print(f"primus: the container does not end, it is removed: {self._begun.name}", file=sys.stderr)
            _remove(self._plan, self._begun)
            process.end_group(self._client.pid, signal.SIGKILL)

        self._loop.after(seconds, too_long)

    def _tell(self, data: bytes) -> None:
        if self._input is not None:
            with suppress(BrokenPipeError):
                os.write(self._input, data)

    def _close(self) -> None:
        if self._input is not None and self._client.stdin:
            self._input = None
            with suppress(BrokenPipeError):
                self._client.stdin.close()

    def _pass_on(self, fd: int) -> bool:
        data = os.read(fd, 1 << 16)
        if not data:
            self._loop.forget(fd)
            return False
        self._tail = (self._tail + data)[-_TAIL:]
        with suppress(OSError):
            os.write(2, data)
        return True

    def _drain(self, fd: int) -> None:
        os.set_blocking(fd, False)
        with suppress(BlockingIOError, ValueError, KeyError):
            while self._pass_on(fd):
                pass


class _Files:
    """What the node's part left in the run directory: the agent's own outcome, or ours in its place."""

    def __init__(self, arguments: Arguments) -> None:
        self._directory, self._node_rank = arguments.plan.parent, arguments.node_rank
        self._began = time.time()

    def outcome(self) -> Optional[Mapping[str, object]]:
        """How the agent inside says that it ended; None when it does not, or did so in an earlier start."""
        known = self._known()
        found: Optional[Mapping[str, object]] = known.get("outcome")  # type: ignore[assignment]  # JSON
        return found

    def refuse(self, message: str, code: int) -> int:
        """There will be no container."""
        self._write(unfit(message, code))
        return code

    def stop(self, signum: int) -> int:
        """It was asked to end before there was a container."""
        self._write(Outcome("killed", 128 + signum, f"ended by {signal.Signals(signum).name}", None, ()))
        return 128 + signum

    def conclude(self, message: str, code: int, never: Optional[str] = None) -> int:
        """The exit code by the agent's own outcome; without one write that the job failed, or (`never`) never began."""
        outcome = self.outcome()
        if outcome is not None:
            return int(str(outcome["exit_code"]))
        if never and not self._known():
            return self.refuse(never, UNFIT)
        self._write(Outcome("failed", code or 1, message, None, ()))
        return code or 1

    def _known(self) -> Dict[str, object]:
        with suppress(OSError, ValueError, KeyError):
            path = self._directory / rundir.node_facts(self._node_rank)
            known: Dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
            if float(str(known["time"])) >= self._began:
                return known
        return {}

    def _write(self, outcome: Outcome) -> None:
        def say(text: str, level: str) -> None:
            print(f"primus: {text}", file=sys.stderr)

        print(f"primus: {outcome.message}", file=sys.stderr)
        facts = Facts(self._directory, self._node_rank, say)
        facts.add({name: value for name, value in self._known().items() if name != "outcome"})
        facts.write(outcome)


def _remove(plan: Plan, begun: Start) -> None:
    container: Container = begun.container
    engine.endings(container, begun.name, plan.job.grace_period, os.environ)
