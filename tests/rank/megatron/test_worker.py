"""Megatron's own pretrain as ranks on a CPU."""

import dataclasses
import gzip
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from primus.launch.config.terms.data import Data
from primus.node import process
from tests import neutral

from ..conftest import RANK, Ended, Run, start

pytestmark = [pytest.mark.megatron, pytest.mark.slow]

NAMES = {
    *("time", "step", "loss", "lr", "grad_norm", "step_time", "memory_peak", "tokens"),
    *("tokens_per_second", "tokens_per_second_per_device"),
}
COURSE: dict[str, Any] = {
    "steps": 20,
    "schedule": neutral.schedule(steps=20),
    "checkpoint": neutral.checkpoint(interval=10),
    "eval": neutral.evaluation(interval=10, steps=2),
}
"""A training that is saved and evaluated in the middle and at its end."""


def steps(ended: Ended) -> list[dict[str, Any]]:
    """What does not depend on the clock, of every step and evaluation, by the rank that wrote it."""
    kept = ("step", "loss", "lr", "grad_norm", "tokens", "validation_loss", "validation_perplexity")
    lines = [line for rank in range(len(ended.exit_codes)) for line in ended.metrics(rank)]
    return [{name: line[name] for name in kept if name in line} for line in lines]


@pytest.fixture(scope="module")
def text(files: str) -> Data:
    """Text that can be learnt, with some of it held out."""
    return neutral.data("text", files=files, held_out=0.2)


@pytest.fixture(scope="module")
def trained(run: Run, text: Data) -> Ended:
    """One rank from the first step to the last."""
    ended = run(data=text, fresh=True, **COURSE)
    assert ended.exit_codes == [0], ended.logs
    return ended


def test_a_rank_trains_and_writes_every_step(trained: Ended) -> None:
    lines = [line for line in trained.metrics() if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert all(set(line) == NAMES for line in lines)
    losses = [line["loss"] for line in lines]
    assert losses[0] == pytest.approx(math.log(258), abs=0.1)
    assert losses[-1] < losses[0] - 0.5
    assert [line["tokens"] for line in lines] == [2 * 64 * step for step in range(1, 21)]
    assert [line["lr"] for line in lines[:3]] == pytest.approx([1e-3, 2e-3, 2e-3], rel=0.02)
    assert lines[-1]["lr"] == pytest.approx(2e-4)
    assert lines[-1]["memory_peak"] >= lines[0]["memory_peak"] > 2**20
    assert "iteration       20/      20" in trained.logs[0]
    assert "Warning" not in trained.logs[0]
    assert not list(trained.directory.glob(".*")), "something was written into the home directory"


def test_held_out_text_is_evaluated_at_the_interval_and_at_the_end(trained: Ended) -> None:
    found = [line for line in trained.metrics() if "validation_loss" in line]
    assert [line["step"] for line in found] == [10, 20]
    assert found[1]["validation_loss"] < found[0]["validation_loss"] < math.log(258)
    assert found[0]["validation_perplexity"] == pytest.approx(math.exp(found[0]["validation_loss"]))


@pytest.mark.parametrize(
    ("ranks", "parallel"),
    [
        pytest.param(1, {}, id="one rank"),
        pytest.param(2, {}, id="two that shard the optimizer"),
        pytest.param(2, {"replicate": 2}, id="two whole copies"),
        pytest.param(2, {"tensor": 2}, id="two that share the matrices"),
        pytest.param(2, {"pipeline": 2}, id="two stages"),
    ],
)
def test_ten_steps_and_ten_more_are_twenty(
    run: Run, text: Data, trained: Ended, trained_on_two: Ended, ranks: int, parallel: dict[str, int]
) -> None:
    course = {**COURSE, "data": text, "ranks": ranks, "parallel": neutral.parallel(**parallel)}
    whole = trained if ranks == 1 else trained_on_two if not parallel else run(**course)
    assert whole.exit_codes == [0] * ranks, whole.logs
    first = run(**course | {"steps": 10})
    assert first.exit_codes == [0] * ranks, first.logs
    both = run(**course, directory=first.directory)
    assert both.exit_codes == [0] * ranks, both.logs
    assert "Warning" not in both.logs[0]
    assert len([line for line in steps(whole) if "loss" in line]) == 20
    assert steps(both) == steps(whole)
    writers = [bool(both.metrics(rank)) for rank in range(ranks)]
    assert writers.count(True) == 1


@pytest.fixture(scope="module")
def trained_on_two(run: Run, text: Data) -> Ended:
    """Two ranks, which shard the optimizer, from the first step to the last."""
    return run(data=text, ranks=2, **COURSE)


@pytest.mark.parametrize(
    ("ranks", "interval"),
    [pytest.param(1, None, id="one rank that is never to save"), pytest.param(2, 1, id="two that always save")],
)
def test_ranks_that_are_asked_to_stop_save_and_end_and_go_on_as_if_nothing_had_been(
    run: Run, text: Data, trained: Ended, trained_on_two: Ended, tmp_path: Path, ranks: int, interval: int | None
) -> None:
    asked = {**run.keywords["environment"], "PRIMUS_STOP_FILE": str(tmp_path / "stop")}  # type: ignore[attr-defined]  # a partial
    (tmp_path / "stop").touch()
    checkpoint = neutral.checkpoint(interval=interval, keep=1)
    course = {**COURSE, "data": text, "ranks": ranks, "checkpoint": checkpoint, "environment": asked}
    first = run(**course)
    assert first.exit_codes == [0] * ranks, first.logs
    last = len(first.losses())
    assert 1 <= last < 20
    assert first.logs[0].count("asked to stop") == 1
    assert f"INFO asked to stop: checkpoint of step {last} is saved" in first.logs[0]
    assert [path.name for path in (first.directory / "checkpoints").glob("iter_*")] == [f"iter_{last:07}"]
    (tmp_path / "stop").unlink()
    rest = run(**course, directory=first.directory)
    assert rest.exit_codes == [0] * ranks, rest.logs
    assert steps(rest) == steps(trained if ranks == 1 else trained_on_two)


# As the first module that a rank imports: it stays where the last file of the second checkpoint would be written.
STAYS_BEFORE_THE_END = """
import builtins, os, signal
really = builtins.open
def stays(file, mode="r", *rest, **named):
    if "w" in mode and str(file).endswith("iter_0000020/metadata.json"):
        really(os.path.join(os.path.dirname(file), ".here"), "w").close()
        while True:
            signal.pause()
    return really(file, mode, *rest, **named)
builtins.open = stays
"""


def test_a_kill_while_a_checkpoint_is_written_leaves_the_former_one(
    run: Run, text: Data, trained: Ended, tmp_path: Path
) -> None:
    former = run(**COURSE | {"data": text, "steps": 10})
    folder = former.directory / "checkpoints"
    path = former.directory / "rank.json"
    content = json.loads(path.read_text())
    content["arguments"]["train_iters"] = 20
    path.write_text(json.dumps(content))
    python = str(run.keywords["python"])  # type: ignore[attr-defined]  # a partial
    (tmp_path / "first").mkdir()
    (tmp_path / "first/sitecustomize.py").write_text(STAYS_BEFORE_THE_END)
    first = {"PYTHONPATH": str(tmp_path / "first")}
    [rank] = start(former.directory, 1, [str(RANK), "megatron", str(path)], first, python)
    while not (folder / "iter_0000020/.here").exists() and rank.poll() is None:
        time.sleep(0.01)
    for pid in (*process.descendants(rank.pid), rank.pid):  # Megatron's writer, which would outlive it
        process.end(pid)
    log = rank.communicate()[0]
    assert rank.returncode == -signal.SIGKILL, log
    assert not (folder / "iter_0000020/metadata.json").exists()
    (folder / "iter_0000020/.here").unlink()
    (folder / "latest_checkpointed_iteration.txt").write_text("")  # as a kill a little later could have left it
    after = run(**COURSE, data=text, directory=former.directory)
    assert after.exit_codes == [0], after.logs
    assert "at iteration 10" in after.logs[0]
    from_11 = [line for line in steps(trained) if line["step"] > 10]
    assert steps(after)[-len(from_11) :] == from_11


def test_a_checkpoint_that_is_damaged_is_passed_over_though_the_tracker_names_it(
    run: Run, text: Data, trained: Ended, tmp_path: Path
) -> None:
    again = Path(shutil.copytree(trained.directory, tmp_path / "again"))
    folder = again / "checkpoints"
    content = bytearray((folder / "iter_0000020/__0_0.distcp").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "iter_0000020/__0_0.distcp").write_bytes(content)
    assert (folder / "latest_checkpointed_iteration.txt").read_text() == "20"
    after = run(**COURSE, data=text, directory=again)
    assert after.exit_codes == [0], after.logs
    assert f"{folder}/iter_0000020: __0_0.distcp is not what was written" in after.logs[0]
    assert "at iteration 10" in after.logs[0]
    assert (folder / "passed-over/iter_0000020/__0_0.distcp").read_bytes() == content
    from_11 = [line for line in steps(trained) if line["step"] > 10]
    assert steps(after)[-len(from_11) :] == from_11


def test_the_newest_checkpoints_stay(run: Run, text: Data) -> None:
    ended = run(data=text, steps=5, checkpoint=neutral.checkpoint(interval=2, keep=2))
    folder = ended.directory / "checkpoints"
    assert sorted(path.name for path in folder.glob("iter_*")) == ["iter_0000004", "iter_0000005"]
    assert (folder / "latest_checkpointed_iteration.txt").read_text() == "5"
    once_more = run(data=text, steps=5, checkpoint=neutral.checkpoint(interval=2, keep=2), directory=ended.directory)
    assert once_more.exit_codes == [0], once_more.logs
    assert len(once_more.metrics()) == 5, "nothing was left to train"


@pytest.mark.parametrize("load", ["", "checkpoints/iter_0000020"])
def test_a_checkpoint_is_evaluated_as_it_was_in_training(run: Run, text: Data, trained: Ended, load: str) -> None:
    loaded = neutral.checkpoint(load=str(trained.directory / load))
    ended = run(data=text, **COURSE | {"checkpoint": loaded}, evaluate_only=True)
    assert ended.exit_codes == [0], ended.logs
    assert steps(ended) == steps(trained)[-1:]
    assert not (ended.directory / "checkpoints").exists()


def test_a_new_run_begins_with_the_weights_that_it_is_given(run: Run, text: Data, trained: Ended) -> None:
    ended = run(data=text, steps=2, checkpoint=neutral.checkpoint(load=str(trained.directory)))
    assert ended.exit_codes == [0], ended.logs
    assert [line["step"] for line in ended.metrics()] == [1, 2]
    first, last = trained.losses()[0], trained.losses()[-1]
    assert abs(ended.losses()[0] - last) < 0.1 < first - last
    missing = run(data=text, steps=2, checkpoint=neutral.checkpoint(load="/nowhere"))
    assert missing.exit_codes == [2]
    assert "task.checkpoint.load: /nowhere holds no complete checkpoint: there is none" in missing.logs[0]


def test_options_of_megatron_come_last_and_a_trace_is_written(run: Run) -> None:
    ended = run(steps=3, args={"adam-beta2": 0.5, "log_interval": 1, "no-bias-swiglu-fusion": True}, profile=(2, 3))
    assert ended.exit_codes == [0], ended.logs
    listed = (ended.directory / "megatron/arguments.txt").read_text()
    assert "adam_beta2 ...................................... 0.5" in listed
    assert "iteration        2/       3" in ended.logs[0]
    with gzip.open(ended.directory / "profile/rank-0.json.gz") as file:
        assert "aten::scaled_dot_product_attention" in {event["name"] for event in json.load(file)["traceEvents"]}


def test_attention_by_pytorch_comes_to_what_megatrons_own_does(run: Run) -> None:
    fused, own = run(steps=3), run(steps=3, args={"attention_backend": "unfused"})
    assert own.losses() == pytest.approx(fused.losses(), rel=1e-4)


def test_a_local_folder_serves_as_a_hub_data_set(run: Run, tmp_path: Path) -> None:
    rows = [{"body": f"document {number} " * 20} for number in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = {"dataset": str(tmp_path), "subset": None, "validation_split": None, "streaming": False, "held_out": 0.2}
    evaluated = neutral.evaluation(interval=2, steps=1)
    ended = run(data=neutral.data("hf", text_key="body", **hub), steps=2, eval=evaluated)
    assert ended.exit_codes == [0], ended.logs
    assert len(steps(ended)) == 3
    ended = run(data=neutral.data("hf", text_key="text", **hub), steps=2)
    assert ended.exit_codes == [2]
    assert "primus: data.text_key: the data set has no column 'text'; it has body" in ended.logs[0]


def test_token_files_of_ones_own_are_parted_by_their_split(run: Run, trained: Ended) -> None:
    [prefix] = [path.with_suffix("") for path in trained.directory.glob("megatron/tokens/*/train.idx")]
    twice = neutral.data("megatron", paths=[str(prefix), str(prefix)], split=[90, 10, 0])
    ended = run(data=twice, steps=3, eval=neutral.evaluation(interval=3, steps=1))
    assert ended.exit_codes == [0], ended.logs
    assert len(steps(ended)) == 4
    missing = run(data=neutral.data("megatron", paths="nowhere"), steps=3)
    assert missing.exit_codes == [2]
    assert "data.paths: there is no file nowhere.bin" in missing.logs[0]


def test_experts_are_spread_over_ranks(run: Run) -> None:
    preset = neutral.model("mixtral_8x7b")
    assert preset.moe
    moe = dataclasses.replace(preset.moe, ffn_size=24)
    small = {"hidden_size": 32, "layers": 2, "attention_heads": 4, "kv_heads": 2, "head_size": 8, "vocabulary": 258}
    model = dataclasses.replace(preset, moe=moe, **small)
    two = run(model=model, ranks=2, parallel=neutral.parallel(expert=2))
    assert two.exit_codes == [0, 0], two.logs
    assert steps(two)[-1]["loss"] < steps(two)[0]["loss"]


def test_what_only_transformer_engine_can_do_is_refused_without_it(run: Run) -> None:
    ended = run(ranks=2, parallel=neutral.parallel(context=2))
    assert ended.exit_codes == [3, 3]
    assert "task.parallel.context: Megatron needs Transformer Engine for it" in ended.logs[0]


def test_on_a_cpu_another_megatron_than_the_one_patched_is_refused(run: Run, tmp_path: Path) -> None:
    package = tmp_path / "megatron/core/package_info.py"
    package.parent.mkdir(parents=True)
    for version, message in (
        ("0, 19, 1", "Megatron 0.19.1 is not the one that Primus can run on a CPU: that is 0.19.2"),
        ("0, 18, 0", "Megatron 0.18.0 is not the one that Primus runs: that is 0.19"),
    ):
        numbers = zip(("MAJOR", "MINOR", "PATCH"), version.split(", "), strict=True)
        package.write_text("".join(f"{name} = {number}\n" for name, number in numbers))
        ended = run(environment={"PYTHONPATH": str(tmp_path)})
        assert ended.exit_codes == [3]
        assert message in ended.logs[0]


def test_an_interpreter_without_megatron_says_how_to_get_one(run: Run) -> None:
    bare = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(sys._base_executable)"], capture_output=True, text=True
    )
    ended = run(python=bare.stdout.strip(), environment={"PATH": os.environ["PATH"]}, fresh=True)
    assert ended.exit_codes == [3]
    assert "Mend it with: primus task=setup backend=megatron" in ended.logs[0]
