"""Standard output and error of a command: nothing that becomes of their readers ends, fails or holds up a job."""

import contextlib
import io
import itertools
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import Any

_CAPACITY = 32 << 20
"""Bytes kept for a reader that is behind; what is written beyond that is left out, and counted."""

_PIECE = 64 << 10
_TOGETHER = 1000
"""Writes that are handed on as one."""

_ORDER = 1.0
"""Seconds that a line on stderr waits for what was written to stdout before it."""


def open_all() -> None:
    """Open those of stdin, stdout and stderr that are closed on /dev/null: the next file would take the place of one.

    Text that the encoding of the terminal does not have, or no encoding has, is written as `\\u2192`. Writing to stderr
    does not fail: what went wrong is in the exit code too.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:  # closed: it is the lowest number that is free, so the next file takes it
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, "r" if fd == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _through(Outlet(sys.stderr.fileno(), waits=True), sys.stderr)


def outlive_readers() -> None:
    """From now on writing to stdout neither fails nor waits.

    A job goes on when its console is closed, full, gone, or stands still; its logs have everything.
    """
    if sys.stdout is not sys.__stdout__ or not isinstance(sys.stdout, io.TextIOWrapper):
        return  # done before; or another program's, that calls this one
    outlet = Outlet(sys.stdout.fileno(), waits=False)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stdout = _through(outlet, sys.stdout)
    errors = _outlet(sys.stderr)
    if errors:
        errors.after = outlet


def settle() -> None:
    """Wait until what was written is read, or its reader is gone: the end of a command whose work is done."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # here, and not at the interpreter's end, which would say so, with an exit code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    outlet = _outlet(sys.stdout)
    if outlet:
        outlet.settle(None)


def _outlet(stream: object) -> "Outlet | None":
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Outlet) else None


def _through(outlet: "Outlet", like: io.TextIOWrapper) -> io.TextIOWrapper:
    lines = like.line_buffering or like.write_through  # the latter by PYTHONUNBUFFERED, as images often have it
    return io.TextIOWrapper(io.BufferedWriter(outlet), like.encoding, like.errors, line_buffering=lines)


class Outlet(io.RawIOBase):
    """A file descriptor to write to that never fails. One that does not wait is written to by a thread of its own."""

    def __init__(self, fd: int, waits: bool) -> None:
        """What was written to the outlet `after`, if any, is to be seen first."""
        self.after: Outlet | None = None
        self._fd = fd
        self._waits = waits or stat.S_ISREG(os.fstat(fd).st_mode)
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._changed = threading.Condition()
        if not self._waits:
            threading.Thread(target=self._serve, daemon=True).start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        if self.after:
            self.after.settle(_ORDER)
        if self._waits:
            self._put(piece)
            return len(piece)
        with self._changed:
            if self._size + len(piece) > _CAPACITY:
                self._left_out += piece.count(b"\n") or 1
            else:
                self._own_up()
                self._keep(piece)
        return len(piece)

    def settle(self, seconds: float | None) -> None:
        """Wait until all is written, at most so long; None: however long that takes."""
        until = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            self._own_up()
            while self._pieces:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)

    def _own_up(self) -> None:
        """Say how many lines are missing, in their place."""
        if self._left_out:
            missing, self._left_out = self._left_out, 0
            self._keep(b"primus: %d lines are not shown, the console is too slow; the logs have them\n" % missing)

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self._changed.notify_all()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._pieces:
                    self._changed.wait()
                batch = b"".join(itertools.islice(self._pieces, _TOGETHER))
                taken = min(_TOGETHER, len(self._pieces))
            self._put(batch)
            with self._changed:
                for _ in range(taken):
                    self._pieces.popleft()
                self._size -= len(batch)
                self._changed.notify_all()

    def _put(self, piece: bytes) -> None:
        """Write all of it; what the file does not take (its reader is gone, the disk is full) is lost."""
        view = memoryview(piece)
        while view:
            try:
                view = view[os.write(self._fd, view[:_PIECE]) :]
            except BlockingIOError:  # another process that has this terminal made it so
                select.select([], [self._fd], [])
            except OSError:
                return
