"""The metrics file of a rank: one JSON object a line, each written whole. Standard library alone."""

import errno
import json
import math
import os
import time


class MetricsFile:
    """Appends to `$PRIMUS_METRICS`; made by the first line, so that ranks without metrics leave no file.

    A disk that is full ends no training: lines wait in memory, and come before the next one that can be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._waiting = b""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append the values of a step. One that is not finite is left out: JSON has no name for it."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        line = json.dumps({"time": time.time(), "step": step, **finite}) + "\n"
        self._append(line.encode())

    def close(self) -> None:
        """Close the file; the lines are with the operating system already, but for those that a full disk refused."""
        if self._waiting:
            self._append(b"")
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: bytes) -> None:
        """In a single call: a reader sees the line whole or not at all, unless the disk had room for a part of it."""
        waited = bool(self._waiting)
        self._waiting += line
        try:
            if self._descriptor is None:
                os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            while self._waiting:
                self._waiting = self._waiting[os.write(self._descriptor, self._waiting) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if not waited:
                print(f"WARNING metrics wait until there is room for them: {error.strerror}: {self._path}", flush=True)
