"""TorchTitan's checkpoints: an interrupted training goes on as if nothing had been."""

import shutil
import signal
from pathlib import Path

import pytest

from tests import neutral

from ..conftest import Ended, Run, runner

pytestmark = [pytest.mark.torch, pytest.mark.slow]

TWENTY = {"schedule": neutral.schedule(steps=20)}
WRITTEN = {"checkpoint": neutral.checkpoint(interval=5, keep=1)}

# As the first module that a rank imports: it dies by SIGKILL when it makes sure that the second one is on the disk.
KILLED_WITHIN_THE_SECOND = """
import os, signal
really = os.fsync
def fsync(descriptor):
    really(descriptor)
    if "/step-10/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return runner(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def whole(base: Run) -> Ended:
    """Twenty steps at once."""
    return base(steps=20, **TWENTY)


@pytest.fixture(scope="module")
def half(base: Run) -> Ended:
    """The first ten of them, with checkpoints, and with evaluations in between."""
    return base(steps=10, eval=neutral.evaluation(interval=4, steps=2), **TWENTY, **WRITTEN)


def names(ended: Ended) -> list[str]:
    return sorted(path.name for path in (ended.directory / "checkpoints").iterdir())


def test_the_losses_of_an_interrupted_training_equal_those_of_a_whole_one(
    run: Run, whole: Ended, half: Ended, tmp_path: Path
) -> None:
    assert half.exit_codes == [0], half.logs
    again = Path(shutil.copytree(half.directory, tmp_path / "again"))
    (again / "checkpoints" / "step-15").mkdir()  # as a killed run leaves it
    rest = run(steps=20, directory=again, **TWENTY, **WRITTEN)
    assert rest.exit_codes == [0], rest.logs
    assert [line["step"] for line in rest.metrics() if "loss" in line] == list(range(1, 21))
    assert rest.losses() == whole.losses()
    assert rest.metrics()[-1]["tokens"] == whole.metrics()[-1]["tokens"]
    assert "Training starts at step 11" in rest.logs[0]
    assert names(rest) == ["passed-over", "step-20"], "one complete checkpoint was to be kept, and none is lost"


@pytest.fixture(scope="module")
def whole_on_two(base: Run) -> Ended:
    """Twenty steps at once, on two ranks."""
    return base(ranks=2, steps=20, **TWENTY)


def test_so_do_those_of_two_ranks(run: Run, whole_on_two: Ended) -> None:
    whole = whole_on_two
    half = run(ranks=2, steps=10, **TWENTY, **WRITTEN)
    rest = run(ranks=2, steps=20, directory=half.directory, **TWENTY, **WRITTEN)
    assert rest.exit_codes == [0, 0], rest.logs
    assert rest.losses() == whole.losses()
    other = run(ranks=1, steps=30, directory=half.directory, **TWENTY, **WRITTEN)
    assert other.exit_codes == [2]
    assert "step-20 was written by 2 data-parallel ranks, and there are 1 now" in other.logs[0]


def test_a_rank_killed_while_it_writes_goes_on_from_the_checkpoint_before(
    run: Run, whole: Ended, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED_WITHIN_THE_SECOND)
    killed = run(steps=20, environment={"PYTHONPATH": str(tmp_path)}, **TWENTY, **WRITTEN)
    assert killed.exit_codes == [-signal.SIGKILL]
    assert names(killed) == ["step-10", "step-5"]
    assert not (killed.directory / "checkpoints/step-10/.metadata").exists()
    rest = run(steps=20, directory=killed.directory, **TWENTY, **WRITTEN)
    assert "Training starts at step 6" in rest.logs[0], rest.logs
    assert rest.losses()[-15:] == whole.losses()[5:]
    assert names(rest) == ["passed-over", "step-20"]


def test_without_an_interval_nothing_is_written_but_an_earlier_checkpoint_goes_on(half: Ended, run: Run) -> None:
    rest = run(steps=11, checkpoint=neutral.checkpoint(directory=str(half.directory / "checkpoints")), **TWENTY)
    assert rest.exit_codes == [0], rest.logs
    assert [line["step"] for line in rest.metrics()] == [11]
    assert names(half) == ["step-10"]
    assert not (rest.directory / "checkpoints").exists()


@pytest.mark.parametrize(
    ("ranks", "interval"),
    [pytest.param(1, None, id="one rank that is never to save"), pytest.param(2, 1, id="two that always save")],
)
def test_ranks_that_are_asked_to_stop_save_and_end_and_go_on_as_if_nothing_had_been(
    run: Run, whole: Ended, whole_on_two: Ended, tmp_path: Path, ranks: int, interval: int | None
) -> None:
    asked = {"PRIMUS_STOP_FILE": str(tmp_path / "stop")}
    (tmp_path / "stop").touch()
    course = {"ranks": ranks, "steps": 20, "checkpoint": neutral.checkpoint(interval=interval, keep=1), **TWENTY}
    first = run(environment=asked, **course)
    assert first.exit_codes == [0] * ranks, first.logs
    last = len(first.losses())
    assert 1 <= last < 20
    assert first.logs[0].count("asked to stop") == 1
    assert f"INFO asked to stop: checkpoint of step {last} is saved" in first.logs[0]
    assert names(first) == [f"step-{last}"]
    (tmp_path / "stop").unlink()
    rest = run(directory=first.directory, environment=asked, **course)
    assert rest.exit_codes == [0] * ranks, rest.logs
    assert f"Training starts at step {last + 1}" in rest.logs[0]
    assert rest.losses() == (whole if ranks == 1 else whole_on_two).losses()


def test_a_new_run_begins_with_the_weights_alone_whatever_its_parallelism(run: Run, half: Ended) -> None:
    load = {"checkpoint": neutral.checkpoint(load=str(half.directory / "checkpoints"))}
    one = run(steps=3, global_batch=4, **load)
    assert one.exit_codes == [0], one.logs
    assert [line["step"] for line in one.metrics()] == [1, 2, 3]
    assert one.losses()[0] < half.losses()[0] - 0.2
    stages = run(ranks=2, steps=3, global_batch=4, parallel=neutral.parallel(pipeline=2), **load)
    assert stages.exit_codes == [0, 0], stages.logs
    assert stages.losses() == [], "the first stage has no loss"
    losses = [line["loss"] for line in stages.metrics(rank=1)]
    assert losses == pytest.approx(one.losses(), rel=1e-4)


def test_an_evaluation_alone_finds_the_loss_that_the_training_found(run: Run, half: Ended) -> None:
    alone = run(
        eval=neutral.evaluation(steps=2),
        checkpoint=neutral.checkpoint(load=str(half.directory / "checkpoints/step-10")),
        evaluate_only=True,
    )
    assert alone.exit_codes == [0], alone.logs
    (line,) = alone.metrics()
    assert line["step"] == 10
    assert line["validation_loss"] == half.metrics()[-1]["validation_loss"]
    assert not (alone.directory / "checkpoints").exists()


def test_a_checkpoint_that_cannot_serve_is_refused_in_one_line(run: Run, half: Ended, tmp_path: Path) -> None:
    empty = run(checkpoint=neutral.checkpoint(load=str(tmp_path)))
    assert empty.exit_codes == [2]
    assert f"primus: task.checkpoint.load: {tmp_path} holds no complete checkpoint: there is none" in empty.logs[0]
    wider = neutral.model(hidden_size=64, layers=2, attention_heads=4, kv_heads=2, head_size=8, ffn_size=48)
    other = run(model=wider, checkpoint=neutral.checkpoint(load=str(half.directory / "checkpoints")))
    assert other.exit_codes == [2]
    assert "step-10 has tok_embeddings.weight of [258, 32], and the model of this run has [258, 64]" in other.logs[0]
