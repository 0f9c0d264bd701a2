"""A submitted job as the user sees it: its place in the queue, its output, its metrics, its end."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch import outcome, rundirectory
from primus.launch.config.request import Request
from primus.launch.problems import Unfit
from primus.launch.progress import Display, display
from primus.launch.record.files import read_json
from primus.launch.run import Interrupts, Lines, NewestMetrics, tracking_uri
from primus.launch.running import Recorder
from primus.launch.slurm import controller, ending
from primus.launch.slurm.controller import Pace, State
from primus.node import rundir
from primus.node.plan import Plan

_TICK = 0.1
"""Seconds between two looks at the run directory."""
_SETTLING = 3.0
"""Seconds for what a node wrote at its end to be seen here, over a network file system, once Slurm says it is over."""


class Following:
    """Follows one job. A first interrupt cancels it, a second one at once."""

    def __init__(self, plan: Plan, request: Request, job_id: str, offset: int, interrupts: Interrupts) -> None:
        """`offset`: where in logs/job.log this start begins, in bytes."""
        self._directory = Path(plan.directory)
        self._request, self._job_id, self._interrupts = request, job_id, interrupts
        self._offset = offset
        self._screen: Display = display(plan.config["task"].get("steps"))
        self._lines = Lines()
        self._metrics = NewestMetrics(self._directory)
        self._pace = Pace()
        self._state: State | None = State("PENDING")
        self._told = ""
        self._over_since: float | None = None
        self._cancelled = 0
        self._released = 0  # restarts

    def to_the_end(self) -> tuple[dict[str, Any], bool]:
        """Show the job until it is over; its result, and whether its record is complete."""
        try:
            while not (result := self._result()):
                self._show()
                self._pass_on_interrupts()
                self._ask()
                time.sleep(_TICK)
            complete = self._recorded(result) if self._request.tracking.enabled else _reported(self._directory)
        finally:
            self._show()
            self._screen.lines(self._lines.rest())
            self._screen.close()
        return result, complete

    def _show(self) -> None:
        try:
            with (self._directory / rundir.JOB_LOG).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            data = b""
        self._offset += len(data)
        if data:
            self._screen.lines(self._lines.feed(data))
        newest = self._metrics.read()
        if newest:
            self._screen.metrics(newest)

    def _ask(self) -> None:
        """The state by the controller, at its pace; a controller that is away for a while is no end of the job."""
        if not self._pace.due():
            return
        try:
            self._state = controller.states([self._job_id]).get(self._job_id)
        except Unfit as error:
            self._say(f"waiting for the controller: {error}")
            return
        if self._state is None or self._state.over:
            self._over_since = self._over_since or time.monotonic()
            return
        self._over_since = None
        if self._state.pending:
            why = f" ({self._state.reason})" if self._state.reason not in ("", "None") else ""
            again = f", start {self._state.restarts + 1}" if self._state.restarts else ""
            if self._state.held_back and self._state.restarts > self._released:
                self._released = self._state.restarts
                controller.release([self._job_id])
            self._say(f"job {self._job_id} waits in the queue{why}{again}")
        elif self._state.name == "RUNNING":
            self._say(f"job {self._job_id} runs on {self._state.nodes}")

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._screen.lines([f"primus: {text}"])

    def _pass_on_interrupts(self) -> None:
        if self._interrupts.count > self._cancelled:
            self._cancelled = self._interrupts.count
            rundirectory.log(self._directory, "WARN", f"interrupted: cancelling job {self._job_id}")
            try:
                if self._cancelled > 1:  # no signal reaches a job that Slurm is ending; its agents look for this
                    (self._directory / rundir.KILL).touch()
                controller.cancel([self._job_id])
            except (Unfit, OSError) as error:
                self._say(f"job {self._job_id} is not cancelled, cancel it later with scancel {self._job_id}: {error}")

    def _result(self) -> dict[str, Any] | None:
        """What the job left once it is over, else the truth about it; None while it goes on."""
        result = read_json(self._directory / rundir.RESULT)
        waited = self._over_since is not None and time.monotonic() - self._over_since > _SETTLING
        if result and (result["status"] != "KILLED" or self._over_since is not None):
            return result  # Slurm may start a job again that it has killed: that result is set aside then
        return ending.write_result(self._directory, self._job_id, self._state, self._cancelled > 0) if waited else None

    def _recorded(self, result: Mapping[str, Any]) -> bool:
        """Wait for the record: the job's recorder completes it, one of ours where that is gone."""
        wait, before = self._request.tracking.wait, self._interrupts.count

        def impatient() -> bool:
            return self._interrupts.count > before

        until = time.monotonic() + wait
        while time.monotonic() < until and not impatient():
            if read_json(self._directory / rundir.RECORD).get("complete"):
                return True
            self._ask()
            if self._over_since is not None or outcome.SURVIVOR in result:
                return Recorder(self._directory, tracking_uri(self._request), wait).finish(impatient)
            time.sleep(_TICK)
        return False


def _reported(directory: Path) -> bool:
    """What the recorder does beside its record, of a run that is not recorded."""
    from primus.launch.report import writing

    writing.of_run(directory)
    return True
