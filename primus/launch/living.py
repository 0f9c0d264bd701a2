"""The processes of a run on this host, found by /proc: whoever started them may be gone."""

import contextlib
import itertools
import os
import signal
import time
from pathlib import Path

from primus.launch.handle import Handle
from primus.node import process, rundir

_TICK = 0.02
_STUCK = 5.0
"""Seconds that a process has to end on SIGKILL."""


def agents(directory: Path) -> list[int]:
    """The node's own processes of a run, the outermost first: guard and agent; not those in a container."""
    found = [pid for pid in _of_plan(directory) if b"--inside" not in _words(pid, "cmdline")]
    return sorted(found, key=lambda pid: (process.began(pid) or 0, pid))


def ranks(directory: Path) -> list[int]:
    """Ranks of a run, and what they started: those that have its directory in their environment."""
    variable = os.fsencode(f"PRIMUS_RUN_DIR={directory}")
    return [pid for pid in _pids() if variable in _words(pid, "environ")]


def of(directory: Path) -> list[int]:
    """All processes of a run, of its agents and of its ranks, that can be seen from here."""
    return sorted({*_of_plan(directory), *ranks(directory)})


def attended(directory: Path) -> bool:
    """Whether an agent of a run, or its guard, lives on this host, in a container or not."""
    return bool(_of_plan(directory))


def end_without_guard(directory: Path, seconds: float) -> None:
    """End what is left of a run on this host whose guard was killed; its agent, if it lives, has that long to do it.

    Ranks die with their agent. What they started need not: that is killed here, but for what is stuck in the kernel.
    """
    until = time.monotonic() + seconds
    while attended(directory) and time.monotonic() < until:
        time.sleep(_TICK)
    until = time.monotonic() + _STUCK
    while (left := of(directory)) and time.monotonic() < until:
        for pid in left:
            process.end(pid)
        time.sleep(_TICK)


def ask_to_end(pid: int, still: Handle | None = None) -> bool:
    """SIGTERM to a process; `still`: only if it is the owner that this handle names. False: it is gone.

    Raises PermissionError for a process of another user.
    """
    try:
        fd = os.pidfd_open(pid)  # from here on the number can not become another process's
    except ProcessLookupError:
        return False
    try:
        if still and not still.alive():
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGTERM)
        return True
    finally:
        os.close(fd)


def holds(pid: int, directory: Path) -> bool:
    """Whether a process has a directory open, as the launcher of a run has: a handle alone proves nothing.

    Raises PermissionError for a process of another user.
    """
    folder = os.stat(directory)
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), folder):
                    return True
    return False


def _of_plan(directory: Path) -> list[int]:
    plan = os.fsencode(directory / rundir.PLAN)

    def runs(words: list[bytes]) -> bool:  # and not an editor that has the file open
        return b"--plan=" + plan in words or (b"--plan", plan) in itertools.pairwise(words)

    return [pid for pid in _pids() if runs(_words(pid, "cmdline"))]


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())


def _words(pid: int, name: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []
