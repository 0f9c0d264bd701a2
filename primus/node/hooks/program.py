"""One hook as a process beside the agent's loop: its lines, its time limit, its end."""

import os
import signal
from typing import Callable, List, Mapping, Optional, Sequence

from primus.node import process
from primus.node.loop import Loop
from primus.node.supervise import Supervisor

_READ = 64 << 10
_LONGEST = 1 << 20  # bytes of one line
# Reads that empty the pipe at the end; no more, since what it has left running may print for ever.
_READS_AT_END = 64
# Seconds between SIGTERM and SIGKILL for one that is to end.
_GRACE = 3.0


class Program:
    """Started; `on_line` is called with each line. `code` is its exit code once it has ended, `late`: it took too long.

    Raises OSError where it cannot be started.
    """

    def __init__(
        self,
        loop: Loop,
        children: Supervisor,
        argv: Sequence[str],
        environ: Mapping[str, str],
        directory: str,
        seconds: float,
        on_line: Callable[[str], None],
    ) -> None:
        self.code: Optional[int] = None
        self.late = False
        self._loop, self._on_line = loop, on_line
        self._pending = b""
        self._ending = False
        self.pid, pipe = process.start_piped(argv, env=environ, cwd=directory)
        self._pipe: Optional[int] = pipe
        children.others[self.pid] = self._end

        def read() -> None:
            self._read()

        loop.on_readable(pipe, read)
        loop.after(seconds, self._time_out)

    def stop(self) -> None:
        """SIGTERM to it and its group, SIGKILL after a moment."""
        if self.code is None and not self._ending:
            self._ending = True
            process.end_group(self.pid, signal.SIGTERM)
            self._loop.after(_GRACE, self.kill)

    def kill(self) -> None:
        """SIGKILL to it and its group."""
        if self.code is None:
            process.end_group(self.pid, signal.SIGKILL)

    def _time_out(self) -> None:
        self.late = self.late or (self.code is None and not self._ending)
        self.stop()

    def _end(self, code: int) -> None:
        for _ in range(_READS_AT_END):
            if self._pipe is None or not self._read():
                break
        if self._pending:
            self._lines([self._pending])
            self._pending = b""
        self._close()
        self.code = code

    def _read(self) -> bool:
        """Read once; False when there is nothing more now."""
        if self._pipe is None:
            return False
        try:
            data = os.read(self._pipe, _READ)
        except BlockingIOError:
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        self._lines(lines)
        if len(self._pending) > _LONGEST:
            self._lines([self._pending])
            self._pending = b""
        if not data:
            self._close()
        return bool(data)

    def _lines(self, lines: List[bytes]) -> None:
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def _close(self) -> None:
        if self._pipe is not None:
            self._loop.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = None
