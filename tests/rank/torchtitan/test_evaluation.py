"""Evaluation on held-out documents, by TorchTitan's own Validator."""

import math
from pathlib import Path

import pytest

from tests import neutral

from ..conftest import Ended, Run

pytestmark = [pytest.mark.torch, pytest.mark.slow]

EVERY_TWO = {"eval": neutral.evaluation(interval=2, steps=2), "steps": 5}


def found(ended: Ended) -> dict[int, float]:
    """Step -> validation loss."""
    return {line["step"]: line["validation_loss"] for line in ended.metrics() if "validation_loss" in line}


@pytest.fixture
def alike(tmp_path: Path) -> str:
    """Documents of one sequence each, all the same: what is held out is the same for any number of ranks."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.txt").write_text("x" * 20 + "y" * 20 + "z" * 23)
    return f"{folder}/*.txt"


def test_it_is_at_every_interval_and_at_the_last_step_and_leaves_the_training_alone(run: Run) -> None:
    ended = run(**EVERY_TWO)
    assert ended.exit_codes == [0], ended.logs
    assert list(found(ended)) == [2, 4, 5]
    for line in ended.metrics():
        if "validation_loss" in line:
            assert set(line) == {"time", "step", "validation_loss", "validation_perplexity"}
            assert line["validation_perplexity"] == pytest.approx(math.exp(line["validation_loss"]))
    assert ended.losses() == run(steps=5).losses()


def test_it_is_the_mean_over_all_ranks_however_they_share_the_work(run: Run, alike: str) -> None:
    data = neutral.data("text", files=alike, held_out=0.1)
    one = run(data=data, global_batch=4, **EVERY_TWO)
    assert one.exit_codes == [0], one.logs
    sharded = run(data=data, global_batch=4, ranks=2, **EVERY_TWO)
    assert sharded.exit_codes == [0, 0], sharded.logs
    tensor = run(data=data, global_batch=4, ranks=2, parallel=neutral.parallel(tensor=2), **EVERY_TWO)
    assert found(sharded) == pytest.approx(found(one), rel=1e-4)
    assert found(tensor) == pytest.approx(found(one), rel=1e-4)
