"""Ranks agree on a step to stop after, however far apart their loops are."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from primus.rank import stopping
from primus.rank.stopping import Stopping

Start = Callable[[int, int], Stopping]
STEPS = 100_000_000  # no loop comes that far


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stop file, which is not there yet; looked for as often as can be."""
    monkeypatch.setenv("PRIMUS_STOP_FILE", str(tmp_path / "stop"))
    monkeypatch.setattr(stopping, "LOOKS", 0.001)
    return tmp_path / "stop"


@pytest.fixture
def start(file: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Rank so-and-so of so many, which share one store."""
    store: dict[str, str] = {}

    def one(rank: int, world: int) -> Stopping:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        return Stopping(store)

    return one


def train(asked: Stopping, last: int = STEPS, every: Callable[[int], None] = lambda step: None) -> int:
    """A loop; returns the step that it stopped after, or the last."""
    with asked:
        for step in range(1, last + 1):
            every(step)
            if asked.after(step):
                break
    return step


def together(loops: list[Callable[[], int]]) -> list[int]:
    """Each in a thread of its own."""
    found = [0] * len(loops)

    def run(number: int) -> None:
        found[number] = loops[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(loops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_rank_alone_stops_after_the_step_in_which_it_is_asked(start: Start, file: Path) -> None:
    asked = start(0, 1)

    def every(step: int) -> None:
        if step == 7:
            file.touch()
            asked._decided.wait()

    assert train(asked, every=every) == 7
    assert asked.stopped


def test_one_that_is_asked_before_it_begins_stops_after_its_first_step(start: Start, file: Path) -> None:
    file.touch()
    asked = start(0, 1)
    assert train(asked, every=lambda step: asked._decided.wait() and None) == 1


def test_without_a_file_to_look_for_nobody_is_asked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRIMUS_STOP_FILE")
    asked = start(0, 2)
    assert train(asked, last=3) == 3
    assert not asked._thread.is_alive()


@pytest.mark.parametrize("attempt", range(20))
def test_ranks_that_run_freely_stop_after_the_same_step(start: Start, file: Path, attempt: int) -> None:
    ranks = [start(rank, 3) for rank in range(3)]

    def every(step: int) -> None:
        if step == 20 + attempt:
            file.touch()

    ends = together([partial(train, rank, every=every) for rank in ranks])
    assert len(set(ends)) == 1, ends
    assert all(rank.stopped for rank in ranks)


def test_so_do_ranks_that_meet_in_every_step(start: Start, file: Path) -> None:
    meet = threading.Barrier(3)  # as a collective: nobody leaves before all have come

    def every(step: int) -> None:
        meet.wait()
        if step == 9:
            file.touch()

    ends = together([partial(train, start(rank, 3), every=every) for rank in range(3)])
    assert len(set(ends)) == 1, ends


def test_being_asked_at_the_very_end_holds_nobody_up(start: Start, file: Path) -> None:
    def every(step: int) -> None:
        if step == 50:
            file.touch()

    ends = together([partial(train, start(rank, 3), last=50, every=every) for rank in range(3)])
    assert ends == [50, 50, 50]


def test_a_loop_that_failed_ends_though_the_others_never_answer(start: Start, file: Path) -> None:
    file.touch()
    asked = start(0, 2)

    def every(step: int) -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        train(asked, every=every)
    assert not asked._thread.is_alive()


def test_a_store_that_is_gone_stops_nobody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(dict[str, str]):
        def __setitem__(self, name: str, value: str) -> None:
            raise ConnectionResetError("rank 0 has left")

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    file.touch()
    assert train(Stopping(Gone()), last=3) == 3
