"""What the agent shows of its ranks on its own stdout, without ever waiting for whoever reads it."""

import errno
import os
import select
import stat
import time
from collections import deque
from typing import Callable, Deque, Optional

from primus.node.loop import Loop

_CAPACITY = 32 << 20  # bytes kept for a reader that is behind; beyond that whole chunks are dropped and counted
_PIECE = 64 << 10
_SAFE_PIECE = 4096  # PIPE_BUF: a blocking pipe that select calls writable takes this much at once


def shows(choice: str, rank: int) -> bool:
    """Whether `console.ranks` (all | none | 0 | 0,3) shows this rank. Raises ValueError for any other choice."""
    if choice in ("all", "none"):
        return choice == "all"
    return rank in {int(part) for part in choice.split(",") if part.strip()}


class Console:
    """A bounded buffer before a file descriptor. A reader that has gone away costs nothing and ends nothing."""

    def __init__(self, loop: Loop, fd: int = 1) -> None:
        self._loop = loop
        self._fd: Optional[int] = None
        self._piece = _PIECE
        self._pending: Deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._waiting = False
        self._open(fd)

    def show(self, text: bytes) -> None:
        """Write now what can be written now, keep the rest."""
        if self._fd is None:
            return
        if self._size + len(text) > _CAPACITY:
            self._dropped += text.count(b"\n") or 1  # a piece of a long line
            return
        self._own_up()
        self._pending.append(text)
        self._size += len(text)
        if not self._waiting:
            self._write()

    def finish(self, patience: float = 1.0, most: float = 5.0) -> None:
        """Write what is left, until nothing moved for `patience` seconds or `most` seconds are over."""
        began = moved = time.monotonic()
        self._own_up()
        while (
            self._fd is not None
            and self._pending
            and time.monotonic() - moved < patience
            and time.monotonic() - began < most
        ):
            before = self._size
            if select.select([], [self._fd], [], 0.05)[1]:
                self._write()
            if self._size != before:
                moved = time.monotonic()

    def _open(self, fd: int) -> None:
        """Prefer an open file of our own: O_NONBLOCK on the inherited one would also hit the shell that shares it."""
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            return
        self._fd = fd
        if stat.S_ISREG(mode):
            return
        try:
            self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno == errno.ENXIO and stat.S_ISFIFO(mode):  # a pipe that nobody reads any more
                self._fd = None
            self._piece = _SAFE_PIECE

    def _write(self) -> None:
        try:
            while self._pending and self._fd is not None:
                if self._piece == _SAFE_PIECE and not select.select([], [self._fd], [], 0)[1]:
                    break
                self._advance(os.write(self._fd, self._pending[0][: self._piece]))
        except BlockingIOError:
            pass
        except OSError:  # EPIPE, EIO of a terminal that is gone: the logs have it all
            self._close()
        self._wait(bool(self._pending))

    def _advance(self, written: int) -> None:
        head = self._pending.popleft()
        self._size -= written
        if written < len(head):
            self._pending.appendleft(head[written:])

    def _wait(self, wanted: bool) -> None:
        if self._fd is None or wanted == self._waiting:
            return
        if wanted:
            self._loop.on_writable(self._fd, self._write)
        else:
            self._loop.forget(self._fd)
        self._waiting = wanted

    def _own_up(self) -> None:
        """Say how many lines are missing, in their place."""
        if self._dropped:
            text = f"primus: {self._dropped} lines are not shown, the console is too slow; the logs have them\n"
            note = text.encode()
            self._pending.append(note)
            self._size += len(note)
            self._dropped = 0

    def _close(self) -> None:
        self._wait(False)
        self._pending.clear()
        self._size = 0
        self._fd = None


Show = Callable[[bytes], None]


def prefixed(show: Show, rank: int) -> Show:
    """`show` for one of several ranks: each line begins with `[r3] `, and each piece ends its line."""
    head = f"[r{rank}] ".encode()

    def show_lines(text: bytes) -> None:
        body = text[:-1] if text.endswith(b"\n") else text
        show(head + body.replace(b"\n", b"\n" + head) + b"\n")

    return show_lines
