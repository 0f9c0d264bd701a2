"""TorchTitan's own Trainer as ranks on a CPU."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests import neutral

from ..conftest import Ended, Run, runner

pytestmark = [pytest.mark.torch, pytest.mark.slow]

NAMES = {
    *("time", "step", "loss", "lr", "grad_norm", "step_time", "memory_peak"),
    *("tokens", "tokens_per_second", "tokens_per_second_per_device"),
}


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The tiny training as it is."""
    return runner(tmp_path_factory.mktemp("one-rank"))()


@pytest.fixture
def files(tmp_path: Path) -> str:
    """A glob of text that a model can learn."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    return f"{folder}/*.txt"


def test_a_rank_trains_and_writes_every_step(run: Run, files: str) -> None:
    ended = run(data=neutral.data("text", files=files), steps=20, fresh=True)
    assert ended.exit_codes == [0], ended.logs
    metrics = ended.metrics()
    assert [line["step"] for line in metrics] == list(range(1, 21))
    assert all(set(line) == NAMES for line in metrics)
    assert ended.losses()[0] > 5  # about log(258)
    assert ended.losses()[-1] < ended.losses()[0] - 0.5
    assert [line["tokens"] for line in metrics] == [2 * 64 * step for step in range(1, 21)]
    for before, line in pairwise(metrics):
        assert line["tokens_per_second"] == pytest.approx(2 * 64 / line["step_time"])
        assert line["memory_peak"] >= before["memory_peak"] > 2**20
    assert "step: 20  loss:" in ended.logs[0]
    assert "\033" not in ended.logs[0]
    assert "Warning" not in ended.logs[0]
    assert not list(ended.directory.glob(".*")), "something was written into the home directory"


def test_the_same_seed_gives_the_same_losses_to_the_last_bit(run: Run, one_rank: Ended) -> None:
    assert len(one_rank.losses()) == 5
    assert run().losses() == one_rank.losses()


def test_two_ranks_that_shard_the_weights_read_twice_as_much(run: Run, files: str) -> None:
    ended = run(data=neutral.data("text", files=files), ranks=2)
    assert ended.exit_codes == [0, 0], ended.logs
    assert [line["tokens"] for line in ended.metrics()] == [2 * 2 * 64 * step for step in range(1, 6)]
    assert ended.metrics()[-1]["tokens_per_second"] == pytest.approx(2 * 2 * 64 / ended.metrics()[-1]["step_time"])
    assert ended.metrics(rank=1) == []
    whole_copies = run(data=neutral.data("text", files=files), ranks=2, parallel=neutral.parallel(replicate=2))
    assert ended.losses() == pytest.approx(whole_copies.losses(), rel=1e-4)


def test_tensor_parallel_ranks_come_to_the_losses_of_one_rank(run: Run, one_rank: Ended) -> None:
    two = run(ranks=2, parallel=neutral.parallel(tensor=2))
    assert two.exit_codes == [0, 0], two.logs
    assert two.losses() == pytest.approx(one_rank.losses(), rel=1e-4)
    assert [line["tokens"] for line in two.metrics()] == [line["tokens"] for line in one_rank.metrics()]


def test_a_local_folder_serves_as_a_hub_data_set(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [{"body": f"document {number} " * 20} for number in range(20)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = {"dataset": str(folder), "subset": None}
    ended = run(data=neutral.data("hf", text_key="body", **hub), steps=2)
    assert ended.exit_codes == [0], ended.logs
    assert len(ended.losses()) == 2
    ended = run(data=neutral.data("hf", text_key="text", **hub), steps=2)
    assert ended.exit_codes == [2]
    assert "primus: data.text_key: the data set has no column 'text'; it has body" in ended.logs[0]


def test_on_a_cpu_another_torchtitan_than_the_one_patched_is_refused(run: Run, tmp_path: Path) -> None:
    metadata = tmp_path / "newer" / "torchtitan-9.9.9.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torchtitan\nVersion: 9.9.9\n")
    ended = run(environment={"PYTHONPATH": str(tmp_path / "newer")})
    assert ended.exit_codes == [3]
    assert "TorchTitan 9.9.9 is not the one that Primus can run on a CPU" in ended.logs[0]


def test_what_is_recomputed_or_compiled_changes_no_loss(run: Run, one_rank: Ended) -> None:
    full = run(activation_checkpointing="full")
    assert full.exit_codes == [0], full.logs
    assert full.losses() == one_rank.losses()
    compiled = run(activation_checkpointing="selective", compile=True)
    assert compiled.exit_codes == [0], compiled.logs
    assert compiled.losses() == pytest.approx(one_rank.losses(), rel=1e-4)


def test_a_profile_is_a_trace_of_the_steps_that_were_asked_for(run: Run) -> None:
    ended = run(profile=(2, 3), steps=4)
    assert ended.exit_codes == [0], ended.logs
    (trace,) = (ended.directory / "profile").rglob("*.json.gz")
    with gzip.open(trace, "rt") as file:
        names = {str(event.get("name")) for event in json.load(file)["traceEvents"]}
    assert {name for name in names if name.startswith("ProfilerStep")} == {"ProfilerStep#1", "ProfilerStep#2"}  # from 0
    assert len(ended.losses()) == 4


def test_what_cannot_be_on_these_ranks_is_refused_in_one_line(run: Run) -> None:
    ended = run(ranks=2, parallel=neutral.parallel(context=2), sequence_length=256)
    assert ended.exit_codes == [3, 3]
    assert ended.logs[0].splitlines()[-1].startswith("primus: task.parallel.context: there is no GPU")
    ended = run(ranks=2, parallel=neutral.parallel(pipeline=2), global_batch=2)
    assert ended.exit_codes == [2, 2]
    assert "2 is 1 micro batches for each of 1 data-parallel ranks, and a pipeline of 2 stages needs 2" in ended.logs[0]
    ended = run(precision="fp8")
    assert ended.exit_codes == [3]
    assert "primus: task.precision=fp8: TorchTitan's float8 needs torchao" in ended.logs[0]
