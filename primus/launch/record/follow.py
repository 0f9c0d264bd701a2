"""Follow a run or a sweep until its record is complete: when to look, when to try again, when to give up."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from primus.launch import handle
from primus.launch.record import sweep
from primus.launch.record.lifeline import PATIENCE, Lifeline, end_without_launcher
from primus.launch.record.recording import Recording
from primus.launch.record.run import RunRecord
from primus.launch.record.state import Busy, Record
from primus.launch.record.store import Refused, Store, Unavailable
from primus.launch.report import writing
from primus.node import rundir

LOOK = 0.05
"""Seconds between two looks for a new job or a result: what a finished command waits for its record at most."""

FLUSH = 1.0
"""Seconds between two batches of metrics of a run."""

_BACK_OFF = (0.2, 3.0)
"""Seconds before the second and, doubled each time, before any later attempt on a store that is unavailable."""

_GOES_ON = "its jobs are Slurm's and go on, task=status completes the record"


class GaveUp(BaseException):
    """The time for completing the record is up. No Exception: MLflow catches those."""


class Follower:
    """The records of one directory. `problems` are the reasons for which a record stays incomplete.

    `told` hears of each part that the store has taken; `once` then counts its time from the last of them.
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        lifeline: Lifeline,
        told: Callable[[Path, Record], None] | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._lifeline = lifeline
        self._is_sweep = bool(sweep.read(directory))
        self._open: dict[Path, Recording] = {}
        self._closed: set[Path] = set()
        self._flushed: dict[Path, float] = {}
        self._retry_at = 0.0
        self._pause = _BACK_OFF[0]
        self._cut_at: float | None = None
        self._told = told
        self._wait = 0.0
        self.problems: list[str] = []

    def once(self, wait: float) -> None:
        """Complete the records of what is over, trying for `wait` seconds at most."""
        self._wait = wait
        with _deadline(wait):
            self._open_new()
            self._step()
            while any(record.ended() for record in self._open.values()):
                self._lifeline.wait(LOOK)
                self._step()
        for path, record in self._open.items():
            self.problems.append(f"{path}: no {rundir.RESULT}; it is still running, or was cut off with its host")
            record.fail(self.problems[-1])

    def until_over(self, wait: float) -> None:
        """Record until all is over; from then on for `wait` seconds at most."""
        self._wait = wait
        while not self._over():
            if (self._open or self._closed) and self._lifeline.cut and not _is_there(self._directory):
                self.problems = self.problems or [f"{self._directory}: it was removed"]
                return
            if self._lifeline.cut and not self._is_sweep and not self._open:
                return  # the launcher went before it wrote a plan
            self._open_new()
            self._step()
            self._lifeline.wait(LOOK)
            if self._lifeline.cut and self._is_slurms():
                self.problems.append(f"{self._directory}: its launcher was killed; {_GOES_ON}")
                return
            self._after_the_launcher()
        with _deadline(wait):
            self._open_new()
            self._report()
            self._step()
            while self._open:
                self._lifeline.wait(LOOK)
                self._step()

    def give_up(self) -> None:
        """Say in each record that is not complete that its time was up."""
        for path, record in self._open.items():
            said = record.record.errors[-1:] or ("MLflow did not answer in time",)
            self.problems.append(f"{path}: {said[0]}")
            record.fail(said[0])

    def close(self) -> None:
        """Let other processes record what this one did not complete."""
        for path in list(self._open):
            self._close(path)

    def _over(self) -> bool:
        if self._is_sweep:
            return "status" in sweep.read(self._directory)
        return (self._directory / rundir.RESULT).exists()

    def _is_slurms(self) -> bool:
        """Whether the jobs of a sweep are Slurm's: they go on without a launcher, for as long as they like."""
        owner = handle.of(self._directory) if self._is_sweep else None
        return owner is not None and owner.job is not None

    def _after_the_launcher(self) -> None:
        """Raises GaveUp where the result could not be written in its time: no recorder is to stay for ever."""
        if not self._lifeline.cut:
            return
        self._cut_at = self._cut_at or time.monotonic()
        try:
            end_without_launcher(self._directory, self._cut_at)
        except OSError as error:
            if time.monotonic() - self._cut_at > PATIENCE + self._wait:
                self.problems.append(f"{self._directory}: {rundir.RESULT} cannot be written: {error.strerror}")
                raise GaveUp from None

    def _report(self) -> None:
        """The reports of what has no record here, which would write them: the store has refused it."""
        for path in self._closed:
            if (path / rundir.RESULT).exists():
                writing.of_run(path)
            elif path == self._directory and self._is_sweep:
                writing.of_sweep(path)

    def _open_new(self) -> None:
        """Open records of what has appeared: the sweep first, which its jobs name as their parent."""
        if self._is_sweep:
            self._add(self._directory)
        for path in sweep.jobs(self._directory) if self._is_sweep else [self._directory]:
            if (path / rundir.PLAN).exists():
                self._add(path)

    def _add(self, path: Path) -> None:
        if path in self._open or path in self._closed:
            return
        kind = sweep.SweepRecord if self._is_sweep and path == self._directory else RunRecord
        try:
            self._open[path] = record = kind(path, self._store)
            record.told = self._heard
        except (Busy, ValueError, OSError) as error:
            self._closed.add(path)
            self.problems.append(f"{path}: {error}")

    def _step(self) -> None:
        """Advance every record that has something new, unless the store is to be left alone for a while."""
        now = time.monotonic()
        if now < self._retry_at:
            return
        for path, record in self._in_order():
            if record.ended() or now - self._flushed.get(path, 0.0) >= FLUSH:
                self._flushed[path] = now
                if not self._advance(path, record):
                    return

    def _in_order(self) -> list[tuple[Path, Recording]]:
        """The records as they are to be advanced: a sweep before its jobs until it has its run, then after them."""
        own = self._directory if self._is_sweep else None
        return sorted(self._open.items(), key=lambda item: item[0] == own and bool(item[1].record.run_id))

    def _advance(self, path: Path, record: Recording) -> bool:
        """Advance one record; False when the store is unavailable, or a disk."""
        before = record.record
        try:
            if record.advance():
                self._close(path)
        except (Unavailable, OSError) as error:
            if self._lifeline.cut and not _is_there(path):  # a launcher that lives makes the directory again at its end
                self._drop(path, "it was removed")
                return True
            if record.record != before:  # it has come further: a server that fails now and then, not one that is down
                self._pause = _BACK_OFF[0]
            record.fail(str(error))
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _BACK_OFF[1])
            return False
        except Refused as error:
            record.fail(str(error))
            self._drop(path, str(error))
        self._pause = _BACK_OFF[0]
        return True

    def _heard(self, path: Path, record: Record) -> None:
        if self._told:
            self._told(path, record)
        if self._told and signal.getitimer(signal.ITIMER_REAL)[0]:  # not once it is up
            signal.setitimer(signal.ITIMER_REAL, max(self._wait, 0.001), 1.0)

    def _drop(self, path: Path, why: str) -> None:
        self.problems.append(f"{path}: {why}")
        self._close(path)

    def _close(self, path: Path) -> None:
        self._open.pop(path).close()
        self._closed.add(path)


def _is_there(directory: Path) -> bool:
    """Whether a run or a sweep is still there; of one that was removed, its launcher may make a log anew."""
    return (directory / rundir.PLAN).exists() or (directory / sweep.SWEEP).exists()


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise GaveUp in the main thread after `seconds`, whatever it does: a request to a slow server can take long.

    Again each second: raised where Python only reports exceptions, in a finalizer, it is lost.
    """

    def give_up(number: int, frame: FrameType | None) -> None:
        raise GaveUp

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
