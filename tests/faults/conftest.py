"""Jobs that are harmed on purpose, whose every process can be found again."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ..conftest import PATIENCE, Start, gone

OFF = "tracking.enabled=false"


def soon(found: Callable[[], Any]) -> Any:
    """Wait until something is there, and return it."""
    until = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
    return value


def read(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def recorded(run: Path, name: str) -> list[tuple[int, float]]:
    """Every point of a metric in MLflow's database, by step; the record of the run is complete."""
    record = read(run / "record.json")
    assert record["complete"], record
    with contextlib.closing(sqlite3.connect(record["tracking_uri"].removeprefix("sqlite:///"))) as database:
        asked = "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step, timestamp"
        return list(database.execute(asked, (record["run_id"], name)))


class Marked:
    """Starts commands, with a mark in the environment that all below them inherit, in whatever session they are."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._mark = uuid4().hex

    def __call__(self, *words: str, **environ: Any) -> Any:
        return self._start(*words, PRIMUS_FAULTS=self._mark, **environ)

    def living(self) -> list[int]:
        """Every process that has the mark."""
        mark = f"PRIMUS_FAULTS={self._mark}".encode()
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if mark in _environment(path)]

    def none_is_left(self) -> bool:
        """Whether all of them have ended, waiting for those that are about to."""
        until = time.monotonic() + PATIENCE
        while (left := self.living()) and time.monotonic() < until:
            gone(left[0])
        return not left


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return []


@pytest.fixture
def marked(start: Start) -> Iterator[Marked]:
    """Starts commands; at the end of the test nothing of them is left."""
    found = Marked(start)
    yield found
    left = found.living()
    for pid in left:
        os.kill(pid, 9)
    assert not left, "something outlived the test"


@pytest.fixture
def run_directory(work: Path) -> Callable[[], Path]:
    """The directory of the one run there is, once it is there."""

    def find() -> Path:
        (directory,) = soon(lambda: [path for path in work.glob("outputs/default/*") if path.is_dir()])
        return Path(directory)

    return find


RunDirectory = Callable[[], Path]
