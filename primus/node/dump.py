"""The stacks of living ranks and of their descendants, taken in the agent's loop: it goes on reading their output."""

import os
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable, Deque, Dict, List, Optional, Sequence

from primus.node import process, stacks
from primus.node.loop import Loop
from primus.node.output import Output
from primus.node.sidecar import Sidecar
from primus.node.stacks import Stack

SIGNAL = signal.SIGUSR2
"""Primus's workers have faulthandler print their stacks on it (primus.rank.__main__); a user's program may too."""

_AT_ONCE = 8  # processes that are looked into at the same time
_EACH = 5.0  # seconds for one; py-spy takes 0.02
_TRIES, _AGAIN = 3, 0.3  # of py-spy at a Python, and seconds between them: it may just start, or move while it is read
_SETTLED = 0.3  # seconds without more output, then what a signal had printed is whole
_MOST = 200  # processes of a node: ranks first, then their loaders and compilers


@dataclass
class Subject:
    """A rank to be looked at. `py_spy` is the program to look with, None where there is none."""

    rank: int
    pid: int
    output: Output
    py_spy: Optional[str]
    state: str = ""
    found: Dict[int, List[Stack]] = field(default_factory=dict)
    printed: bool = False  # by itself: its log has the stacks already

    @property
    def stacks(self) -> List[Stack]:
        """Of the rank's own process; where that is no Python (a shell script), of the first below it that is."""
        return self.found.get(self.pid) or next((found for found in self.found.values() if found), [])

    def text(self) -> List[str]:
        """For people, its descendants below it."""
        lines: List[str] = []
        for pid, found in self.found.items():
            lines += [f"process {pid}, {name_of(pid)}:"] if pid != self.pid else []
            lines += stacks.lines(found)
        return lines


class Taking:
    """Looks into all `subjects`, and calls `done` once, when all are known or `patience` seconds are over."""

    def __init__(self, loop: Loop, subjects: Sequence[Subject], patience: float, done: Callable[[], None]) -> None:
        self._loop, self._done, self._subjects = loop, done, subjects
        self._over = False
        self._until = time.monotonic() + patience
        self._running = 0
        self._todo: Deque[Callable[[], None]] = deque()
        for subject in subjects:
            self._todo.append(self._task(subject, subject.pid))
        below = [(subject, pid) for subject in subjects for pid in process.descendants(subject.pid)]
        for subject in subjects:
            subject.state = condition(subject.pid) or _stopped_below([pid for s, pid in below if s is subject])
        self._todo += [self._task(s, pid) for s, pid in below if is_python(pid)][: max(0, _MOST - len(subjects))]
        loop.after(patience, self._finish)
        self._next()

    def _task(self, subject: Subject, pid: int) -> Callable[[], None]:
        return lambda: self._spy(subject, pid) if subject.py_spy else self._ask(subject, pid)

    def _next(self) -> None:
        while self._todo and self._running < _AT_ONCE:
            self._running += 1
            self._todo.popleft()()
        if not self._running and not self._todo:
            self._finish()

    def _one_done(self) -> None:
        self._running -= 1
        self._next()

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._todo.clear()
            self._done()

    def _spy(self, subject: Subject, pid: int, tries: int = _TRIES) -> None:
        said: List[str] = []
        over: List[bool] = []

        def end() -> None:
            if over:
                return
            over.append(True)
            with suppress(ValueError):
                subject.found[pid] = stacks.of_py_spy("\n".join(said))
            if pid in subject.found:
                self._one_done()
            elif tries > 1 and is_python(pid) and time.monotonic() + _AGAIN < self._until:
                self._loop.after(_AGAIN, lambda: self._spy(subject, pid, tries - 1))
            else:
                self._ask(subject, pid)

        # It does not stop the process, which would disturb one that is stopped already; and what hangs does not move.
        argv = [subject.py_spy or "", "dump", "--nonblocking", "--json", "--pid", str(pid)]
        try:
            tool = Sidecar(self._loop, argv, said.append, end)
        except OSError:
            end()
            return

        def late() -> None:
            nonlocal tries
            tries = 1  # what takes so long is held up itself: others wait to be looked into
            tool.stop()
            end()

        self._loop.after(_EACH, late)

    def _ask(self, subject: Subject, pid: int) -> None:
        """By faulthandler in the process itself: what it prints goes to the rank's output. A stopped one cannot."""
        if subject.output.tapped and time.monotonic() < self._until:  # one process of a rank after another
            self._loop.after(_SETTLED, lambda: self._ask(subject, pid))
            return
        if condition(pid).startswith("stopped") or not process.notify(pid, SIGNAL):
            self._one_done()
            return
        heard: List[bytes] = []
        subject.output.tap(heard.append)
        until = min(self._until, time.monotonic() + _EACH)
        self._loop.after(_SETTLED, lambda: self._settle(subject, pid, heard, 0, until))

    def _settle(self, subject: Subject, pid: int, heard: List[bytes], before: int, until: float) -> None:
        if len(heard) != before and time.monotonic() < until:
            self._loop.after(_SETTLED, lambda: self._settle(subject, pid, heard, len(heard), until))
            return
        subject.output.tap(None)
        found = stacks.of_faulthandler(b"".join(heard).decode(errors="replace"))
        if found:
            subject.found[pid], subject.printed = found, True
        self._one_done()


def condition(pid: int) -> str:
    """What keeps a process from running, in words: `stopped (SIGSTOP)`, `stuck in the kernel`; empty: nothing does."""
    letter = process.state(pid)
    if letter in ("T", "t"):
        by = _stop_signal(pid)
        return "stopped" + (f" ({by})" if by else " by a debugger" if letter == "t" else "")
    if letter != "D":
        return ""
    with suppress(OSError):
        with open(f"/proc/{pid}/wchan", "rb") as file:  # `0` for who may not know
            where = file.read().decode(errors="replace").strip("0\n")
        return f"stuck in the kernel ({where})" if where else "stuck in the kernel"
    return "stuck in the kernel"


def _stopped_below(pids: Sequence[int]) -> str:
    """Of a shell script, say, that waits for a program which was stopped; empty where none was."""
    found = [pid for pid in pids if condition(pid).startswith("stopped")]
    return f"stopped: its process {found[0]} ({name_of(found[0])}) is" if found else ""


def _stop_signal(pid: int) -> str:
    """The signal that stopped a child of this process; empty for other processes, whose parent alone is told."""
    with suppress(OSError, ValueError, AttributeError):
        found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        return signal.Signals(found.si_status).name if found else ""
    return ""


def is_python(pid: int) -> bool:
    """Whether a process is an interpreter, by the name of its program."""
    with suppress(OSError):
        return "python" in os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    return False


def name_of(pid: int) -> str:
    """The name that a process goes by; empty for one that is gone."""
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""
