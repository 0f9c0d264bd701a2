"""Somebody asks what the ranks are in: `task=stacks` leaves a file in the run directory, on whatever host it runs."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Callable

from primus.node import rundir
from primus.node.loop import Loop
from primus.node.supervise import Supervisor

_EVERY = 2.0  # seconds between two looks for it


class Asked:
    """Looks for the file until `close`, and answers each time that there is another one."""

    def __init__(
        self, directory: Path, node: int, loop: Loop, ranks: Supervisor, say: Callable[[str, str], None]
    ) -> None:
        self._directory, self._node = directory, node
        self._loop, self._ranks, self._say = loop, ranks, say
        self._closed = False
        self._answered = self._asked()  # an earlier start has
        loop.after(_EVERY, self._look)

    def close(self) -> None:
        """Look no more."""
        self._closed = True

    def _look(self) -> None:
        if self._closed:
            return
        asked = self._asked()
        if asked and asked != self._answered:
            from primus.node.look import Look  # here: its import costs a job that nobody asks about time for nothing

            self._say("asked for the stacks of the ranks", "INFO")
            Look(self._directory, self._node, self._loop, self._ranks, self._say).take(lambda reports: None)
        self._answered = asked
        self._loop.after(_EVERY, self._look)

    def _asked(self) -> str:
        with suppress(OSError):
            if rundir.LOOK in os.listdir(self._directory):  # listed: NFS remembers that a file was not there
                return (self._directory / rundir.LOOK).read_text(encoding="utf-8", errors="replace")
        return ""
