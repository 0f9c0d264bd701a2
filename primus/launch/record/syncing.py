"""Complete the record of a run or a sweep that is over, in this process, and say what that took."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from primus.launch.record import files, state, sweep
from primus.launch.record.comparing import Compared, compare
from primus.launch.record.follow import Follower, GaveUp
from primus.launch.record.lifeline import Lifeline
from primus.launch.record.run import RunRecord
from primus.launch.record.state import Busy, Record
from primus.launch.record.store import Missing, Refused, Store, Unavailable
from primus.node import rundir

_BACK_OFF = (0.2, 3.0)
"""Seconds before the second and, doubled each time, before any later attempt to compare."""

Told = Callable[[Path, Record], None]


@dataclass
class Done:
    """What a sync did: lines of metrics and files that MLflow has taken, points that were compared and were lacking.

    `problems` say what keeps records incomplete; none: all are complete. `unavailable`: MLflow cannot be reached.
    """

    lines: int = 0
    files: int = 0
    compared: Compared | None = None
    anew: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unavailable: bool = False


def sync(directory: Path, store: Store, wait: float, compared: bool, told: Told) -> Done:
    """Complete the record of a run or a sweep in `directory`, giving up `wait` seconds after the last step forward."""
    done, paths = Done(), _recorded(directory)
    before = {path: _record(path, store) for path in paths}
    if compared:
        _begin_anew_what_is_gone(before, store, done)
        before = {path: _record(path, store) for path in paths}
    follower = Follower(directory, store, Lifeline(None), told)
    try:
        follower.once(wait)
    except GaveUp:
        follower.give_up()
        done.unavailable = True
    finally:
        follower.close()
    done.problems += follower.problems
    for path, earlier in before.items():
        now = _record(path, store)
        done.lines += sum(now.lines.values()) - sum(earlier.lines.values())
        done.files += len(set(now.artifacts) - set(earlier.artifacts))
    if compared and not done.problems:
        _compare(paths, store, wait, done)
    return done


def _recorded(directory: Path) -> list[Path]:
    """What has a record of its own: a run; a sweep and those of its jobs that have started."""
    return [directory, *sweep.jobs(directory)] if sweep.read(directory) else [directory]


def _record(path: Path, store: Store) -> Record:
    try:
        return state.load(path, store.shown)
    except ValueError:
        return Record()  # the follower says so


def _begin_anew_what_is_gone(before: dict[Path, Record], store: Store, done: Done) -> None:
    """Forget the records whose run MLflow does not have any more: its database was moved away, or another restored."""
    for path, record in before.items():
        try:
            if record.run_id:
                store.tags(record.run_id)
        except Missing:
            with state.lock(path):
                state.save(path, Record(tracking_uri=store.shown))
            done.anew.append(f"{store.shown} has no run {record.run_id} any more")
        except (Unavailable, Refused):
            return  # the follower tries as long as it may


def _compare(paths: list[Path], store: Store, wait: float, done: Done) -> None:
    points = added = 0
    for path in paths:
        if not (path / rundir.PLAN).is_file():
            continue
        try:
            recording = RunRecord(path, store)
        except (Busy, ValueError, OSError) as error:
            done.problems.append(f"{path}: {error}")
            return
        try:
            found = _patiently(recording, wait)
            points, added = points + found.points, added + found.added
        except (Unavailable, Refused) as error:
            done.problems.append(f"{path}: complete, but it could not be compared: {error}")
            return
        finally:
            recording.close()
    done.compared = Compared(points, added)


def _patiently(recording: RunRecord, wait: float) -> Compared:
    """Compare, again where MLflow cannot be reached for a moment: what was added by then is there, and counted once.

    Raises Unavailable once `wait` seconds are over, and Refused.
    """
    until, pause = time.monotonic() + wait, _BACK_OFF[0]
    while True:
        try:
            return compare(recording)
        except Unavailable:
            if time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            pause = min(2 * pause, _BACK_OFF[1])


def size(directory: Path) -> int:
    """Bytes of the metric files of a run or a sweep: what a sync has before it at most."""
    every = [*files.rank_files(directory).values(), *files.host_files(directory).values()]
    inside = sum(size(job) for job in sweep.jobs(directory)) if sweep.read(directory) else 0
    return inside + sum(path.stat().st_size for path in every)
