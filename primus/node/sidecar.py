"""A helper process of the agent's own whose lines are read in the agent's loop: nvidia-smi, a question to Python."""

import os
import signal
from typing import Callable, Mapping, Optional, Sequence

from primus.node import process
from primus.node.loop import Loop

_READ = 64 << 10
_LONGEST = 8 << 20  # bytes of one line; a tool that prints more without end is broken


class Sidecar:
    """Calls `on_line` for each line of a process, then `on_end`. Raises OSError where it cannot be started."""

    def __init__(
        self,
        loop: Loop,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
    ) -> None:
        self._loop = loop
        self._on_line = on_line
        self._on_end = on_end
        self._pending = b""
        self.pid, pipe = process.start_piped(argv, env=env, cwd=cwd, errors=False)
        self._pipe: Optional[int] = pipe
        loop.on_readable(pipe, self._read)

    @property
    def running(self) -> bool:
        """Whether more may come from it."""
        return self._pipe is not None

    def stop(self) -> None:
        """End it, without a call of `on_end`."""
        if self._pipe is not None:
            process.end_group(self.pid, signal.SIGKILL)
            self._close()

    def _read(self) -> None:
        if self._pipe is None:
            return
        try:
            data = os.read(self._pipe, _READ)
        except BlockingIOError:
            return
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))
        if not data or len(self._pending) > _LONGEST:
            self.stop()
            self._on_end()

    def _close(self) -> None:
        if self._pipe is not None:
            self._loop.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = None
