"""MaxText's own pre-training as ranks on a CPU."""

import gzip
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import neutral

from ..conftest import Ended, Run

pytestmark = [pytest.mark.maxtext, pytest.mark.slow]

NAMES = {"time", "step", "loss", "lr", "grad_norm", "step_time", "memory_peak", "tokens"}
NAMES |= {"tokens_per_second", "tokens_per_second_per_device"}


def validation(ended: Ended) -> dict[int, float]:
    """Loss on held-out data by step."""
    return {line["step"]: line["validation_loss"] for line in ended.metrics() if "validation_loss" in line}


def losses(ended: Ended) -> list[float]:
    return [line["loss"] for line in ended.metrics() if "loss" in line]


@pytest.fixture(scope="module")
def one_rank(run: Run, files: str) -> Ended:
    """Twenty steps on text, with evaluation, a checkpoint and a trace."""
    return run(
        data=neutral.data("text", files=files),
        steps=20,
        eval=neutral.evaluation(interval=8, steps=2),
        checkpoint=neutral.checkpoint(interval=20),
        profile=(3, 4),
    )


def test_a_rank_trains_and_writes_every_step(one_rank: Ended) -> None:
    assert one_rank.exit_codes == [0], one_rank.logs
    lines = [line for line in one_rank.metrics() if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert all(set(line) == NAMES for line in lines)
    assert lines[0]["loss"] == pytest.approx(math.log(258), abs=0.5)
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.5
    assert [line["tokens"] for line in lines] == [2 * 64 * step for step in range(1, 21)]
    for before, line in pairwise(lines):
        assert line["tokens_per_second"] == pytest.approx(2 * 64 / line["step_time"])
        assert line["memory_peak"] >= before["memory_peak"] > 2**20
    assert not list(one_rank.directory.glob(".*")), "something was written into the home directory"


def test_the_rate_rises_to_its_peak_and_comes_to_its_least_at_the_last_step(one_rank: Ended) -> None:
    rates = [line["lr"] for line in one_rank.metrics() if "loss" in line]
    peak = 2e-3
    assert rates[:2] == pytest.approx([peak / 2, peak]), "two steps of warm-up"
    assert rates[10] == pytest.approx(peak * (0.1 + 0.9 * 0.5)), "half way down the cosine"
    assert rates[-1] == pytest.approx(peak * 0.1)


def test_the_log_has_a_line_for_every_tenth_step_and_none_of_what_is_not_there(one_rank: Ended) -> None:
    log = one_rank.logs[0]
    assert [step for step in range(1, 21) if f"completed step: {step}," in log] == [1, 10, 20]
    for noise in ("WARNING", "Traceback", "orbax", "gcs", "TensorBoard", "\033"):
        assert noise not in log, noise


def test_held_out_documents_are_evaluated_at_every_interval_and_at_the_last_step(one_rank: Ended) -> None:
    found = validation(one_rank)
    assert list(found) == [8, 16, 20]
    assert found[20] < found[8]
    perplexity = [line["validation_perplexity"] for line in one_rank.metrics() if "validation_loss" in line]
    assert perplexity == pytest.approx([math.exp(loss) for loss in found.values()])


def test_a_checkpoint_is_evaluated_without_training(run: Run, files: str, one_rank: Ended) -> None:
    ended = run(
        data=neutral.data("text", files=files),
        eval=neutral.evaluation(steps=2),
        checkpoint=neutral.checkpoint(load=str(one_rank.directory)),
        evaluate_only=True,
    )
    assert ended.exit_codes == [0], ended.logs
    assert validation(ended) == pytest.approx({20: validation(one_rank)[20]})
    assert losses(ended) == []


def test_a_trace_of_the_steps_asked_for_is_written(one_rank: Ended) -> None:
    (trace,) = (one_rank.directory / "profile/rank-0").rglob("*.trace.json.gz")
    with gzip.open(trace) as file:
        events: list[dict[str, Any]] = json.load(file)["traceEvents"]
    steps = {event["args"]["step_num"] for event in events if event.get("name") == "train" and "args" in event}
    assert steps == {"2", "3"}, "as MaxText counts them, from 0"


def test_the_same_seed_gives_the_same_losses_to_the_last_bit(run: Run, files: str, one_rank: Ended) -> None:
    again = run(data=neutral.data("text", files=files), steps=3, schedule=neutral.schedule(steps=20))
    assert losses(again) == losses(one_rank)[:3]


def test_two_ranks_that_shard_the_weights_read_twice_as_much(run: Run, files: str) -> None:
    data = neutral.data("text", files=files)
    shards, copies = (run(data=data, ranks=2, parallel=neutral.parallel(replicate=n)) for n in (1, 2))
    assert shards.exit_codes == [0, 0], shards.logs
    assert [line["tokens"] for line in shards.metrics()] == [2 * 2 * 64 * step for step in range(1, 6)]
    assert shards.metrics(rank=1) == []
    assert losses(shards) == pytest.approx(losses(copies), rel=1e-4)


@pytest.mark.parametrize("degrees", [{"tensor": 2}, {"tensor": 2, "sequence": True}, {"context": 2}])
def test_ranks_that_share_a_micro_batch_come_to_the_losses_of_one_rank(
    run: Run, files: str, one_rank: Ended, degrees: dict[str, Any]
) -> None:
    two = run(
        data=neutral.data("text", files=files),
        ranks=2,
        steps=3,
        schedule=neutral.schedule(steps=20),
        parallel=neutral.parallel(**degrees),
    )
    assert two.exit_codes == [0, 0], two.logs
    assert losses(two) == pytest.approx(losses(one_rank)[:3], rel=1e-4)
    assert [line["tokens"] for line in two.metrics()] == [2 * 64 * step for step in (1, 2, 3)]


def test_two_stages_of_a_pipeline_learn(run: Run, files: str) -> None:
    data = neutral.data("text", files=files)
    ended = run(data=data, ranks=2, steps=20, global_batch=4, parallel=neutral.parallel(pipeline=2))
    assert ended.exit_codes == [0, 0], ended.logs
    assert losses(ended)[-1] < losses(ended)[0] - 0.5
    short = run(data=data, ranks=2, global_batch=2, parallel=neutral.parallel(pipeline=2))
    assert short.refused, short.logs
    assert "task.global_batch: MaxText's pipeline needs a multiple of 2 micro batches" in short.logs[0]


def test_a_global_batch_is_accumulated(run: Run, files: str) -> None:
    data = neutral.data("text", files=files)
    passes, whole = (run(data=data, global_batch=4, micro_batch=micro) for micro in (2, 4))
    assert passes.exit_codes == [0], passes.logs
    assert losses(passes) == pytest.approx(losses(whole), rel=1e-4)


@pytest.mark.parametrize("keeping", ["selective", "full"])
def test_what_is_computed_again_does_not_change_the_losses(run: Run, files: str, one_rank: Ended, keeping: str) -> None:
    data = neutral.data("text", files=files)
    again = run(data=data, steps=3, schedule=neutral.schedule(steps=20), activation_checkpointing=keeping)
    assert losses(again) == pytest.approx(losses(one_rank)[:3], rel=1e-5)


def test_options_by_maxtexts_own_names_come_last_and_unknown_ones_are_refused(run: Run) -> None:
    ended = run(args={"steps": 2, "adam_weight_decay": 0.0})
    assert ended.exit_codes == [0], ended.logs
    assert len(losses(ended)) == 2
    unknown = run(args={"remat_polcy": "full"})
    assert unknown.exit_codes == [2]
    assert "backend.args.remat_polcy: MaxText has no such option. Did you mean 'remat_policy'?" in unknown.logs[0]
    wrong = run(args={"steps": "many"})
    assert wrong.exit_codes == [2]
    assert "steps: Input should be a valid integer" in wrong.logs[0]
    assert "Traceback" not in wrong.logs[0]


def test_eight_bits_need_a_gpu(run: Run) -> None:
    ended = run(precision="fp8")
    assert ended.exit_codes == [3]
    assert "task.precision: fp8 needs a GPU" in ended.logs[0]


def test_another_maxtext_than_the_one_that_is_known_is_refused(run: Run, tmp_path: Path) -> None:
    metadata = tmp_path / "newer" / "maxtext-9.9.9.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: maxtext\nVersion: 9.9.9\n")
    ended = run(environment={"PYTHONPATH": str(tmp_path / "newer")})
    assert ended.exit_codes == [3]
    assert "MaxText 9.9.9 is not the one that Primus knows the inside of" in ended.logs[0]
