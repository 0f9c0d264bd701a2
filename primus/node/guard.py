"""Two processes watch over a node: the guard, which was started, and the agent, its child, which does the work.

A process that is killed cannot clean up after itself, and a rank may leave processes in sessions of their own. So when
the agent dies, the guard inherits every process below it and ends them; when the guard dies, the agent sees the end of
a pipe and ends its ranks as on SIGTERM.
"""

import os
import signal
from contextlib import suppress
from typing import Any, Callable, List

from primus.node import process

# Passed on to the agent, by number, through the pipe. That way it can tell them from signals that hit it as well, as
# Slurm's scancel does to every process of a step: those must not count as asking twice.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FORWARDED = (signal.SIGUSR1, signal.SIGUSR2)


def handled() -> List[int]:
    """The signals to handle: under nohup not SIGHUP."""
    ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    return [signum for signum in (*ENDING, *FORWARDED) if signum not in ignored]


def run(agent: Callable[[int], int], lost: Callable[[int], None]) -> int:
    """Run `agent(pipe)` in a child and return its exit code.

    `lost(code)` is called when the agent was killed or raised, after the end of everything that was below it.
    """
    _open_standard_files()
    process.adopt_orphans()
    reading, writing = os.pipe()
    signals = handled()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until each of the two has its handlers

    def child() -> int:
        os.close(writing)
        os.setsid()  # Ctrl-C reaches the guard alone
        return agent(reading)

    pid = process.fork(child)
    os.close(reading)

    def pass_on(signum: int, frame: Any) -> None:
        with suppress(OSError):
            os.write(writing, bytes([signum]))

    for signum in signals:
        signal.signal(signum, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = _wait(pid)
    process.end_descendants(0.0)
    code = process.exit_code(status)
    if os.WIFSIGNALED(status) or code == process.BROKEN:
        lost(code)
    return code


def _open_standard_files() -> None:
    """Where one of stdin, stdout and stderr is closed the next file opened would take its place, and its output."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def _wait(agent: int) -> int:
    """Reap until it is the agent that has ended."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == agent:
            return status
