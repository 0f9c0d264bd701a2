"""What the ranks of a node are in: their stacks go into their logs and into one file, and a report says it in short.

Whoever asks for it without a hang (task=stacks) leaves a file in the run directory, since agents may be on other hosts.
"""

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from primus.node import progress, rundir, stacks, straggler
from primus.node.dump import Subject, Taking
from primus.node.loop import Loop
from primus.node.outcome import RankEnd
from primus.node.straggler import Report
from primus.node.supervise import Command, Supervisor

PATIENCE = 20.0
"""Seconds that looking at the ranks of one node may take."""

_TAIL = 64 << 10  # bytes at the end of a metrics file, in which its last line is
_PHASE = 200  # characters of a heartbeat's text


class Look:
    """Looks at the ranks that a supervisor has. `ends` are those that it has forgotten, as they have all ended."""

    def __init__(
        self, directory: Path, node: int, loop: Loop, ranks: Supervisor, say: Callable[[str, str], None]
    ) -> None:
        self.ends: Sequence[RankEnd] = ()
        self._directory, self._node = directory, node
        self._loop, self._ranks, self._say = loop, ranks, say

    def take(self, then: Callable[[List[Report]], None]) -> None:
        """Take the stacks of all that live, then call with a report of each rank, the ended ones too."""
        subjects = [Subject(c.rank, pid, output, _py_spy(c)) for c, pid, output in self._ranks.living]

        def done() -> None:
            reports = [self._report(subject) for subject in subjects]
            self._write(subjects, reports)
            ends = self._ranks.ended or self.ends
            ended = [Report(end.rank, self._node, f"ended with exit code {end.exit_code}") for end in ends]
            then([*reports, *ended])

        Taking(self._loop, subjects, PATIENCE, done)

    def _report(self, subject: Subject) -> Report:
        doing = stacks.doing(subject.stacks)
        step, phase = self._last_step(subject.rank), self._phase(subject.rank)
        return straggler.report(subject.rank, self._node, subject.state, doing, step, phase)

    def _write(self, subjects: Sequence[Subject], reports: Sequence[Report]) -> None:
        texts = [
            [f"rank {one.rank} (process {subject.pid}) {one.doing}", *subject.text()]
            for subject, one in zip(subjects, reports)
        ]
        for subject, text in zip(subjects, texts):
            subject.output.note(text[:1] if subject.printed else text, time.time(), "WARN")
        path = self._directory / rundir.stacks(self._node)
        try:
            rundir.write_text(path, "\n\n".join("\n".join(text) for text in texts) + "\n")
        except OSError as error:
            self._say(f"{path} cannot be written: {error.strerror}", "WARN")

    def _phase(self, rank: int) -> str:
        path = self._directory / rundir.heartbeat(rank)
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
            return " ".join(file.read(_PHASE).split())
        return ""

    def _last_step(self, rank: int) -> Optional[int]:
        path = self._directory / rundir.rank_metrics(rank)
        with suppress(OSError, ValueError, IndexError, AttributeError), path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return progress.step_of(json.loads(file.read().splitlines()[-1]))
        return None


def _py_spy(command: Command) -> Optional[str]:
    """The program beside the rank's interpreter, on the rank's PATH or the agent's, or beside the agent's interpreter;
    None where there is none."""
    beside = os.path.dirname(command.argv[0]) if command.argv else ""
    paths = (beside, command.environ.get("PATH"), os.environ.get("PATH"), os.path.dirname(sys.executable))
    return next((found for path in paths if path and (found := shutil.which("py-spy", path=path))), None)
