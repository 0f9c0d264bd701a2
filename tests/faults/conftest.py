"""Jobs that are harmed on purpose, whose every process can be found again."""

import os
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


class Marked:
    """Starts commands, with a mark in the environment that all below them inherit, in whatever session they are."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._mark = uuid4().hex

    def __call__(self, *words: str, **environ: str) -> Any:
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
