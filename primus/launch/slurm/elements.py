"""The elements of a job array as they are followed: by what they write, and by Slurm's word, which is asked seldom."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from primus.launch import closing
from primus.launch.problems import Unfit
from primus.launch.record.files import read_json
from primus.launch.run import Interrupts, NewestMetrics
from primus.launch.slurm import controller, ending
from primus.launch.slurm.controller import Pace, State
from primus.launch.sweep import journal
from primus.launch.sweep.table import JobTable
from primus.node import rundir
from primus.node.plan import Plan

_TICK = 0.05
"""Seconds between two looks at the run directories, and per hundred of them: they may lie on a network file system."""
_SHORT = 1.0
_WAIT = 5.0
"""Seconds after which a job is none of the shortest, and an array no short one whatever its jobs are. A recorder's
imports take two seconds of a processor, which the shortest jobs have a better use for where they run on this host."""
_SETTLING = 3.0
"""Seconds for what a node wrote at its end to be seen here, over a network file system, once Slurm says it is over."""


class Elements:
    """Follows the jobs of a sweep. A first interrupt cancels the array, a second one at once."""

    def __init__(self, plans: Sequence[Plan], array: str, interrupts: Interrupts, places: Mapping[int, int]) -> None:
        """`array` is the job id; the run id of a plan is the index of its job, `places` tells the element of each."""
        self._places = places
        self._directories = {int(plan.run_id): Path(plan.directory) for plan in plans}
        self._first = int(plans[0].run_id)
        self._array, self._interrupts = array, interrupts
        self._metrics = {index: NewestMetrics(path) for index, path in self._directories.items()}
        self._pace = Pace()
        self._states: dict[int, State | None] = {}
        self._over_since: dict[int, float] = {}
        self._running_since: dict[int, float] = {}
        self._lasts = False
        self._cancelled = 0
        self._released: set[tuple[str, int]] = set()
        self.table = JobTable(journal.changing(plans), self._first)
        self.results: dict[int, dict[str, object]] = {}

    def to_the_end(self, lasting: Callable[[], None]) -> None:
        """Show them until every one has a result; those that finished before have one. `lasting` is called again and
        again once they are known to take their time.
        """
        going, began = [], time.monotonic()
        for index, directory in self._directories.items():
            before = journal.finished(directory)
            if before:
                self._show(index, "done before", before)
            else:
                going.append(index)
        while going := [index for index in going if not self._look(index)]:
            self._pass_on_interrupts()
            self._ask(going)
            if self._lasts or time.monotonic() - began > _WAIT:
                lasting()
            time.sleep(_TICK * (1 + len(going) // 100))

    def failed(self) -> list[int]:
        """Those that did not finish, by their place in the sweep."""
        return sorted(i for i, r in self.results.items() if r["status"] != "FINISHED")

    def _look(self, index: int) -> bool:
        """Show what is new of an element; whether it is over."""
        directory, state = self._directories[index], self._states.get(index)
        result = read_json(directory / rundir.RESULT)
        waited = time.monotonic() - self._over_since.get(index, time.monotonic())
        if result and result["status"] == "KILLED" and index not in self._over_since:
            result = {}  # Slurm may start a job again that it has killed
        if not result and waited > _SETTLING:
            os.listdir(directory)  # NFS remembers for a while that a file was not there
            name = f"{self._array}_{self._places[index]}"
            result = read_json(directory / rundir.RESULT) or ending.write_result(directory, name, state)
        if result:
            self.results[index - self._first] = result
            self._show(index, str(result["status"]).lower(), result)
            return True
        newest = self._metrics[index].read()
        if newest or (directory / rundir.node_facts(0)).is_file():
            self.table.set(index - self._first, "running", newest)
            now = time.monotonic()
            self._lasts |= now - self._running_since.setdefault(index, now) > _SHORT
        return False

    def _show(self, index: int, state: str, result: dict[str, object]) -> None:
        self.table.set(index - self._first, state, {"step": result.get("step"), "loss": closing.loss(result)})

    def _ask(self, going: list[int]) -> None:
        """The states by the controller, at its pace; one that is away for a while is no end of the jobs."""
        if not self._pace.due():
            return
        try:
            known = controller.states([self._array])
        except Unfit as error:
            self.table.tell(f"waiting for the controller: {error}")
            return
        now = time.monotonic()
        self._release(known)
        for index in going:
            state = self._states[index] = known.get(f"{self._array}_{self._places[index]}")
            if state is None or state.over:
                self._over_since.setdefault(index, now)
            else:
                self._over_since.pop(index, None)
        reasons = [state.reason for index in going if (state := self._states[index]) and state.pending]
        self.table.tell(_waits(self._array, len(reasons), next(filter(None, reasons), "")))

    def _release(self, known: Mapping[str, State]) -> None:
        """Each start of a job once: where Slurm does not take it, the job waits as Slurm wants it to."""
        held = {(job, state.restarts) for job, state in known.items() if state.held_back} - self._released
        self._released |= held
        controller.release(sorted(job for job, _ in held))

    def _pass_on_interrupts(self) -> None:
        if self._interrupts.count > self._cancelled:
            self._cancelled = self._interrupts.count
            if self._cancelled > 1:  # no signal reaches a job that Slurm is ending; its agents look for this
                for directory in self._directories.values():
                    if (directory / rundir.PLAN).is_file():
                        (directory / rundir.KILL).touch()
            controller.cancel([self._array])


def _waits(array: str, count: int, reason: str) -> str:
    if not count:
        return ""
    return f"{count} job{'s' if count > 1 else ''} of array {array} wait{'' if count > 1 else 's'} in the queue" + (
        f" ({reason})" if reason else ""
    )
