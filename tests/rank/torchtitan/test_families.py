"""Every family of models that TorchTitan has, made small, as ranks on a CPU."""

import math

import pytest

from tests import neutral

from ..conftest import Run
from ..small import small

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.mark.parametrize(
    "preset",
    [
        "llama3.1_8b",
        "qwen2.5_7b",
        "qwen3_8b",
        "qwen3_30b_a3b",
        "mixtral_8x7b",
        "deepseek_v2_lite",
        "deepseek_v2",
        "deepseek_v3",
        "gpt_oss_20b",
    ],
)
def test_a_family_trains(run: Run, preset: str) -> None:
    ended = run(small(preset), optimizer=neutral.optimizer(lr=1e-2), steps=3)
    assert ended.exit_codes == [0], ended.logs
    first, *_, last = ended.losses()
    assert first == pytest.approx(math.log(258), abs=0.7)
    assert last < first


def test_tied_embeddings_train(run: Run) -> None:
    ended = run(small("qwen3_0.6b"), optimizer=neutral.optimizer(lr=1e-2), steps=3)
    assert ended.exit_codes == [0], ended.logs
    assert ended.losses()[-1] < ended.losses()[0]


@pytest.mark.parametrize("preset", ["deepseek_v3", "qwen2.5_7b"])
def test_tensor_parallel_ranks_come_to_the_losses_of_one_rank(run: Run, preset: str) -> None:
    two = run(small(preset), ranks=2, steps=3, parallel=neutral.parallel(tensor=2))
    assert two.exit_codes == [0, 0], two.logs
    assert two.losses() == pytest.approx(run(small(preset), steps=3).losses(), rel=1e-4)


def test_experts_spread_over_ranks_come_to_the_losses_of_whole_ones(run: Run) -> None:
    whole, spread = (
        run(small("deepseek_v3"), ranks=2, steps=3, parallel=neutral.parallel(expert=ranks)) for ranks in (1, 2)
    )
    assert spread.exit_codes == [0, 0], spread.logs
    assert spread.losses() == pytest.approx(whole.losses(), rel=1e-4)
