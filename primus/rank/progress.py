"""The heartbeat of a rank: that it has come further, and what it is at. Standard library alone, Python >= 3.9.

`$PRIMUS_HEARTBEAT` names a file that the node agent looks at: see docs/hangs.md. A beat is given where work has been
done and never by a thread or a timer, which would prove nothing.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

_PAUSE = 1.0
"""Seconds between two beats of one phase, at least: a loop may beat as often as it likes."""

_last: tuple[str, float] = "", 0.0


def beat(phase: str) -> None:
    """Say what this rank is at from now on: `loading the checkpoint`. Costs nothing without an agent."""
    global _last
    path, now = os.environ.get("PRIMUS_HEARTBEAT"), time.monotonic()
    if not path or (phase == _last[0] and now - _last[1] < _PAUSE):
        return
    _last = phase, now
    with suppress(OSError):  # a full disk: the time of the file has moved all the same
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(descriptor, f"{phase}\n".encode())
        finally:
            os.close(descriptor)
