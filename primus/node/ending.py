"""Requests from outside to end the job: signals, the guard's pipe, the launcher's lifeline."""

import os
import signal
from typing import Callable, Optional

from primus.node import guard
from primus.node.loop import Loop
from primus.node.supervise import Supervisor

_GUARD_DIED = 128 + signal.SIGKILL


class Requests:
    """Passes requests on to the supervisor. `reason` tells what ended the job from outside, `code` is its exit code.

    The first request ends the ranks with SIGTERM and a grace period, a second one with SIGKILL at once.
    """

    def __init__(self, loop: Loop, supervisor: Supervisor, say: Callable[[str, str], None]) -> None:
        self.reason: Optional[str] = None
        self.code = 0
        self._loop = loop
        self._supervisor = supervisor
        self._say = say
        loop.on_signals([signal.SIGCHLD, *guard.handled()], self._counter())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, guard.handled())

    def watch_guard(self, pipe: int) -> None:
        """Read the signals that the guard passes on, and its end."""
        handle = self._counter()

        def read() -> None:
            signums = os.read(pipe, 4096)
            for signum in signums:
                handle(signum)
            if not signums:
                self._loop.forget(pipe)
                self._end("the guard of the node agent was killed", _GUARD_DIED)

        self._loop.on_readable(pipe, read)

    def watch_lifeline(self, fd: int) -> None:
        """End the job when the launcher, which holds the other end, is gone; the bytes before that end are signals.

        Raises OSError when `fd` is not open.
        """
        os.set_inheritable(fd, False)
        handle = self._counter()

        def read() -> None:
            signums = os.read(fd, 4096)
            for signum in signums:
                handle(signum)
            if not signums:
                self._loop.forget(fd)
                self._end("the launcher of the job is gone", 128 + signal.SIGTERM)

        self._loop.on_readable(fd, read)

    def _counter(self) -> Callable[[int], None]:
        """A handler of signals that come one way: two on one way are two requests, one on each way may be the same."""
        asked = 0

        def handle(signum: int) -> None:
            nonlocal asked
            if signum == signal.SIGCHLD:
                self._supervisor.reap()
            elif signum in guard.FORWARDED:
                self._supervisor.forward(signum)
            else:
                asked += 1
                if asked > 1:
                    self._supervisor.kill()
                else:
                    self._end(f"ended by {signal.Signals(signum).name}", 128 + signum)

        return handle

    def _end(self, reason: str, code: int) -> None:
        if self.reason is None:
            self.reason, self.code = reason, code
            self._say(reason, "WARN")
            self._supervisor.stop()
