"""The metrics file of a rank: one JSON object a line, each written whole. Standard library alone."""

import json
import math
import os
import time


class MetricsFile:
    """Appends to `$PRIMUS_METRICS`; made by the first line, so that ranks without metrics leave no file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append the values of a step. One that is not finite is left out: JSON has no name for it."""
        if self._descriptor is None:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        line = json.dumps({"time": time.time(), "step": step, **finite}) + "\n"
        os.write(self._descriptor, line.encode())  # a single call: a reader sees the line whole or not at all

    def close(self) -> None:
        """Close the file; the lines are with the operating system already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
