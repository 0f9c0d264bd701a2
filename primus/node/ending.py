"""Requests from outside to end the job: signals, the guard's pipe, the launcher's lifeline."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from primus.node import guard, rundir
from primus.node.loop import Loop
from primus.node.supervise import Supervisor

_GUARD_DIED = 128 + signal.SIGKILL
_LOOK = 0.2  # seconds between two looks for the file that asks an ending job to end at once


class Requests:
    """Passes requests on to the supervisor. `reason` tells what ended the ranks from outside, `code` is its exit code.
    `asked` is both of the request to end the whole job, at whichever node that came in; None: there was none.

    The first request ends the ranks with SIGTERM and a grace period, a second one with SIGKILL at once; from then on
    the agent is `impatient`. `announce(reason, code)` is called for a request, and not for what another node asks.

    SIGUSR1 is no such request: it asks the job to stop early, and `stop_file`, whose presence tells the ranks so, is
    made. It and SIGUSR2 go on to those processes of the ranks alone that have a handler: any other would die of them.
    A file beside it, `kill`, is a second request too: Slurm passes on none for a job that it is ending already.
    """

    def __init__(self, loop: Loop, supervisor: Supervisor, stop_file: Path, say: Callable[[str, str], None]) -> None:
        self.reason: Optional[str] = None
        self.code = 0
        self.asked: Optional[Tuple[str, int]] = None
        self.impatient = False
        self.announce: Callable[[str, int], None] = lambda reason, code: None
        self._stop_file = stop_file
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
                if signum == signal.SIGUSR1:
                    self._ask_to_stop()
                self._supervisor.forward(signum)
            else:
                asked += 1
                if asked > 1:
                    self._at_once()
                else:
                    self._end(f"ended by {signal.Signals(signum).name}", 128 + signum)

        return handle

    def renew(self) -> None:
        """The ranks that were ended have ended, and others may start. A request to end the whole job stays."""
        if self.asked is None:
            self.reason, self.code = None, 0

    def end_with_others(self, reason: str, code: int, killed: bool = False) -> None:
        """End the ranks because another node's are ending; those that are failing too may first say why.

        `killed`: by a request to end the whole job.
        """
        if killed and self.asked is None:
            self.asked = reason, code
        if self.reason is None:
            self.reason, self.code = reason, code
            self._say(reason, "WARN")
            self._supervisor.wind_down()
            self._loop.after(_LOOK, self._look)

    def _end(self, reason: str, code: int) -> None:
        if self.reason is None:
            self.reason, self.code = reason, code
            self._say(reason, "WARN")
            self._supervisor.stop()
            self._loop.after(_LOOK, self._look)
        if self.asked is None:
            self.asked = reason, code
            self.announce(reason, code)

    def _look(self) -> None:
        found: List[str] = []
        with suppress(OSError):  # listed: NFS remembers for a while that a file was not there
            found = os.listdir(self._stop_file.parent)
        if rundir.KILL in found:
            self._at_once()
        elif self.reason is not None:
            self._loop.after(_LOOK, self._look)

    def _at_once(self) -> None:
        self.impatient = True
        self._supervisor.kill()

    def _ask_to_stop(self) -> None:
        self._say("asked to stop early (SIGUSR1): the ranks are told to save and end", "WARN")
        try:
            self._stop_file.touch()
        except OSError as error:
            self._say(f"{self._stop_file} cannot be made, so no rank is told: {error.strerror}", "ERROR")
