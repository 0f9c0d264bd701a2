"""MaxText's checkpoints: an interrupted training goes on as if nothing had been."""

import shutil
import signal
from pathlib import Path

import pytest

from tests import neutral

from ..conftest import Ended, Run

pytestmark = [pytest.mark.maxtext, pytest.mark.slow]

TWENTY = {"schedule": neutral.schedule(steps=20), "data": neutral.data("mock")}
WRITTEN = {"checkpoint": neutral.checkpoint(interval=5, keep=1)}

# As the first module that a rank imports: it dies by SIGKILL when the second checkpoint has all but its name.
KILLED_BEFORE_THE_NAME = """
import os, signal
really = os.rename
def rename(source, target, *arguments, **names):
    if str(target).endswith("/checkpoints/9"):
        os.kill(os.getpid(), signal.SIGKILL)
    return really(source, target, *arguments, **names)
os.rename = os.replace = rename
"""


@pytest.fixture(scope="module")
def whole(run: Run) -> Ended:
    """Twenty steps at once."""
    return run(steps=20, **TWENTY)


@pytest.fixture(scope="module")
def half(run: Run) -> Ended:
    """The first ten of them, with checkpoints, and with evaluations in between."""
    return run(steps=10, eval=neutral.evaluation(interval=4, steps=2), **TWENTY, **WRITTEN)


def losses(ended: Ended) -> list[float]:
    return [line["loss"] for line in ended.metrics() if "loss" in line]


def names(ended: Ended) -> list[str]:
    return sorted(path.name for path in (ended.directory / "checkpoints").iterdir())


def test_the_losses_of_an_interrupted_training_equal_those_of_a_whole_one(
    run: Run, whole: Ended, half: Ended, tmp_path: Path
) -> None:
    assert half.exit_codes == [0], half.logs
    assert names(half) == ["9"], "MaxText counts steps from 0; one was to be kept"
    rest = run(steps=20, directory=Path(shutil.copytree(half.directory, tmp_path / "again")), **TWENTY, **WRITTEN)
    assert rest.exit_codes == [0], rest.logs
    assert [line["step"] for line in rest.metrics() if "loss" in line] == list(range(1, 21))
    assert losses(rest) == losses(whole)
    assert rest.metrics()[-1]["tokens"] == whole.metrics()[-1]["tokens"]
    assert names(rest) == ["19"]
    done = run(steps=20, directory=rest.directory, **TWENTY, **WRITTEN)
    assert done.exit_codes == [0]
    assert "nothing to do: 20 steps are done" in done.logs[0]
    assert losses(done) == losses(whole)


@pytest.fixture(scope="module")
def whole_on_two(run: Run) -> Ended:
    """Twenty steps at once, on two ranks."""
    return run(ranks=2, steps=20, **TWENTY)


def test_so_do_those_of_two_ranks(run: Run, whole_on_two: Ended) -> None:
    half = run(ranks=2, steps=10, **TWENTY, **WRITTEN)
    rest = run(ranks=2, steps=20, directory=half.directory, **TWENTY, **WRITTEN)
    assert rest.exit_codes == [0, 0], rest.logs
    assert losses(rest) == losses(whole_on_two)
    other = run(steps=30, directory=half.directory, **TWENTY, **WRITTEN)
    assert other.exit_codes == [2]
    assert "was written by 2 ranks, and there are 1 now" in other.logs[0]


def test_a_rank_killed_while_it_writes_goes_on_from_the_checkpoint_before(
    run: Run, whole: Ended, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED_BEFORE_THE_NAME)
    killed = run(steps=20, environment={"PYTHONPATH": str(tmp_path)}, **TWENTY, **WRITTEN)
    assert killed.exit_codes == [-signal.SIGKILL], killed.logs
    assert "4" in names(killed)
    assert [name for name in names(killed) if name.startswith("9.")], "the second was under way"
    rest = run(steps=20, directory=killed.directory, **TWENTY, **WRITTEN)
    assert rest.exit_codes == [0], rest.logs
    assert "restoring from this run's directory step 4" in rest.logs[0]
    by_step = {line["step"]: line["loss"] for line in rest.metrics()}  # of lines for one step the last
    assert list(by_step.values()) == losses(whole)


def test_a_bit_that_has_changed_is_found_before_anything_is_loaded(run: Run, half: Ended, tmp_path: Path) -> None:
    again = Path(shutil.copytree(half.directory, tmp_path / "again"))
    largest = max((again / "checkpoints/9/items").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    refused = run(steps=20, directory=again, **TWENTY, **WRITTEN)
    assert refused.exit_codes == [3], refused.logs
    name = largest.relative_to(again / "checkpoints/9")
    assert f"holds no complete checkpoint: 9: {name} is not what was written: its CRC-32 is " in refused.logs[0]


@pytest.mark.parametrize(
    ("ranks", "interval"),
    [pytest.param(1, None, id="one rank that is never to save"), pytest.param(2, 10, id="two that save now and then")],
)
def test_ranks_that_are_asked_to_stop_save_and_end_and_go_on_as_if_nothing_had_been(
    run: Run, whole: Ended, whole_on_two: Ended, tmp_path: Path, ranks: int, interval: int | None
) -> None:
    asked = {**run.keywords["environment"], "PRIMUS_STOP_FILE": str(tmp_path / "stop")}  # type: ignore[attr-defined]  # a partial
    (tmp_path / "stop").touch()
    checkpoint = neutral.checkpoint(interval=interval, keep=1)
    course = {"ranks": ranks, "steps": 20, "checkpoint": checkpoint, "environment": asked, **TWENTY}
    first = run(**course)
    assert first.exit_codes == [0] * ranks, first.logs
    last = len(losses(first))
    assert 1 <= last < 20, "the loop runs ahead of the device"
    assert first.logs[0].count("asked to stop") == 1
    assert f"INFO asked to stop: checkpoint of step {last} is saved" in first.logs[0]
    assert names(first) == [str(last - 1)], "MaxText counts steps from 0"
    (tmp_path / "stop").unlink()
    rest = run(**course, directory=first.directory)
    assert rest.exit_codes == [0] * ranks, rest.logs
    assert losses(rest) == losses(whole if ranks == 1 else whole_on_two)


def test_a_new_run_begins_with_the_weights_of_a_checkpoint_alone(run: Run, whole: Ended, half: Ended) -> None:
    for load in (half.directory, half.directory / "checkpoints", half.directory / "checkpoints/9"):
        ended = run(steps=2, checkpoint=neutral.checkpoint(load=str(load)), **TWENTY)
        assert ended.exit_codes == [0], ended.logs
        assert [line["step"] for line in ended.metrics()] == [1, 2]
        assert losses(ended)[0] < losses(whole)[0] - 0.3, "weights that have learnt, on the first documents"
        assert ended.metrics()[0]["lr"] == whole.metrics()[0]["lr"]
        assert not (ended.directory / "checkpoints").exists()
    ended = run(steps=2, checkpoint=neutral.checkpoint(load=str(whole.directory)), **TWENTY)
    assert ended.exit_codes == [2]
    assert "holds no complete checkpoint: there is none" in ended.logs[0]
