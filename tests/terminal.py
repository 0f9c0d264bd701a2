"""A command at a terminal: a real one, as far as the command can tell."""

import fcntl
import os
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .conftest import PATIENCE


class Terminal:
    """A pseudo-terminal with a process that has it: what is typed into it, and what it shows."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self._mine, theirs = os.openpty()

        def take_the_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            argv,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_the_terminal,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        """Type at it."""
        os.write(self._mine, text.encode())

    def until(self, text: str) -> None:
        """Read until it shows this text."""
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if not self._read():
                raise AssertionError(f"it ended, and never showed {text!r}:\n{self.shown}")

    def wait(self) -> int:
        """Its exit code, once it has ended and all that it showed is read."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def hang_up(self) -> None:
        """Take the terminal away from it, as a closed window or a lost connection does."""
        os.close(self._mine)
        self._mine = os.open(os.devnull, os.O_RDWR)

    def close(self) -> None:
        """Take the terminal away, and end it."""
        with suppress(OSError):
            os.close(self._mine)
        with self.process:
            self.process.kill()

    def _read(self) -> bool:
        if not select.select([self._mine], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self._mine, 1 << 16)
        except OSError:  # EIO: nobody has the other side any more
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


@contextmanager
def primus_at_a_terminal(*words: str, **environ: str) -> Iterator[Terminal]:
    """The command line of Primus, typed by a person."""
    path = str(Path(__file__).parents[1])
    found = Terminal([sys.executable, "-m", "primus", *words], {**os.environ, "PYTHONPATH": path, **environ})
    try:
        yield found
    finally:
        found.close()
