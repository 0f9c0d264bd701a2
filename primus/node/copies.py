"""Copies of this process that run a function, as others run a program."""

import gc
import os
import signal
from typing import Callable, Optional, Sequence

from primus.node import process


class Copy:
    """A process that runs a function: what Popen is to one that runs a program."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._returncode: Optional[int] = None

    def poll(self) -> Optional[int]:
        """Its exit status, below 0 for a signal; None while it runs."""
        if self._returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self._returncode


def start(body: Callable[[], int], *, cwd: str, pass_fds: Sequence[int] = ()) -> Copy:
    """Run `body` as `process.start` would run a program that calls it, without the tens of milliseconds that Python's
    own start and the imports take: in a session, directory and with signal handlers of its own, and no file but
    `pass_fds`.

    Raises OSError where there is no such directory. Not for a process with threads. Signals that are blocked now are
    so there too, for `body` to unblock once it has handlers for them.
    """
    directory = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # of the copy, no handler here takes any

    def child() -> int:
        # Nothing that is here now is ever collected there: files are closed below, by number, and what closes a file
        # of its own when it is collected would close another one, which has its number by then.
        gc.freeze()
        os.setsid()
        os.fchdir(directory)
        signal.set_wakeup_fd(-1)
        for signum in signal.valid_signals():
            if callable(signal.getsignal(signum)) and signum != signal.SIGINT:
                signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        last = 2
        for fd in (*sorted(pass_fds), os.sysconf("SC_OPEN_MAX")):
            os.closerange(last + 1, fd)
            last = fd
        return body()

    try:
        return Copy(process.fork(child))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(directory)
