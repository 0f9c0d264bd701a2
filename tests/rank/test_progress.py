"""The heartbeat of a rank: what it is at, whenever it has come further."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from primus.rank import progress
from tests import neutral

from .conftest import Run


class Heart:
    """A pipe in the place of the file that a rank writes its heartbeats to, so that all of them can be read."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def beats(self) -> list[str]:
        try:
            return os.read(self._pipe, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._pipe)


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    made = Heart(tmp_path / "heart")
    yield made
    made.close()


def test_a_rank_says_what_it_is_at(heart: Heart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIMUS_HEARTBEAT", heart.path)
    for phase in ("reading", "building", "reading"):
        progress.beat(phase)
    assert heart.beats() == ["reading", "building", "reading"]


def test_a_loop_may_beat_as_often_as_it_likes(heart: Heart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIMUS_HEARTBEAT", heart.path)
    for _ in range(10000):
        progress.beat("evaluating")
    assert set(heart.beats()) == {"evaluating"}
    assert not heart.beats()


def test_the_file_holds_the_last_phase_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIMUS_HEARTBEAT", str(tmp_path / "heart"))
    progress.beat("loading the checkpoint")
    progress.beat("done")
    assert (tmp_path / "heart").read_text() == "done\n"


def test_nothing_is_written_without_an_agent_or_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIMUS_HEARTBEAT", raising=False)
    progress.beat("alone")
    monkeypatch.setenv("PRIMUS_HEARTBEAT", str(tmp_path / "gone/heart"))
    progress.beat("the run directory was removed")


SHORT = {"steps": 2, "eval": neutral.evaluation(interval=2, steps=2), "checkpoint": neutral.checkpoint(interval=2)}


@pytest.mark.torch
@pytest.mark.slow
def test_torchtitan_beats_from_its_imports_to_its_end(run: Run, heart: Heart) -> None:
    ended = run(environment={"PRIMUS_HEARTBEAT": heart.path}, **SHORT)
    assert ended.exit_codes == [0], ended.logs
    assert heart.beats() == [
        "starting",
        "importing TorchTitan",
        "reading the data set",
        "building the model",
        "before the first step",
        "saving the checkpoint of step 2",
        "after the checkpoint of step 2",
        "evaluating",
        "ending",
    ]
