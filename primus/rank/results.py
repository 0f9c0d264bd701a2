"""What a benchmark or a check has found, a row at a time: results.jsonl of the run. Standard library alone.

Python >= 3.9, as that of an image may be: task=analyze/topology runs in any.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from primus.node import rundir
from primus.rank.metrics import MetricsFile
from primus.rank.progress import beat


class Results:
    """Rows of one run. Every rank may hold one; only the rank that the task chooses writes."""

    def __init__(self, directory: Path | None = None) -> None:
        """`directory` is the run directory, by default that of this rank (PRIMUS_RUN_DIR)."""
        self._path = (directory or Path(os.environ["PRIMUS_RUN_DIR"])) / rundir.RESULTS
        self._progress = MetricsFile(os.environ["PRIMUS_METRICS"]) if "PRIMUS_METRICS" in os.environ else None

    def row(self, kind: str, **values: Any) -> None:
        """Append a row of a `kind`: its parameters and what was measured, by column. NaN and infinity become null."""
        beat(f"measuring {kind}")
        row = {"kind": kind, "time": time.time(), **{name: _sound(value) for name, value in values.items()}}
        line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())  # a single call: a reader sees the line whole or not at all
        finally:
            os.close(descriptor)

    def progress(self, done: int, of: int) -> None:
        """Say how far the task is, in rows, products or whatever it counts; the launcher shows it."""
        if self._progress:
            self._progress.write(done, {"of": of})


def _sound(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
