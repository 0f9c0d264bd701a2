"""Three frameworks train one model from one definition: `primus -m backend=torchtitan,megatron,maxtext`."""

import json
import math
import os
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests import backends
from tests.conftest import PATIENCE, PATIENT, Start

pytestmark = [
    *(pytest.mark.torch, pytest.mark.megatron, pytest.mark.maxtext, pytest.mark.slow, pytest.mark.mlflow),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # MLflow 3.17, SQLAlchemy 2.1
]

BACKENDS = ("torchtitan", "megatron", "maxtext")
NATS = math.log(258)  # of a guess among all tokens of the tiny model


def interpreters() -> dict[str, str]:
    """The folder with the environments of task=setup, where the tests' own interpreters are among them."""
    found = {name: Path(backends.python(name)) for name in BACKENDS[1:]}
    folders = {python.parents[2] for python in found.values()}
    assert len(folders) == 1, f"the environments are in several folders: {folders}"
    return {"PRIMUS_BACKENDS": str(folders.pop())}


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of the rank that reports the loss (the last stage's, in Megatron the last rank's)."""
    for path in sorted((run / "metrics").glob("rank-*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        if any("loss" in line for line in lines):
            return lines
    raise AssertionError(f"no rank of {run} reports a loss")


@pytest.mark.parametrize("words", [(), ("ranks_per_node=2",), ("ranks_per_node=2", "task.parallel.tensor=2")])
def test_the_three_begin_alike_learn_alike_and_are_one_record(start: Start, work: Path, words: tuple[str, ...]) -> None:
    process = start(
        *("-m", f"backend={','.join(BACKENDS)}", "task.steps=24", "task.sequence_length=128"),
        *("task.eval.interval=24", "task.eval.steps=4", f"data.files={Path(os.__file__).parent}/a*.py"),
        *words,
        PATIENT,
        **interpreters(),
    )
    out, err = process.communicate(timeout=4 * PATIENCE)
    assert process.returncode == 0, out + err
    (sweep,) = (work / "outputs/default").iterdir()
    steps = [[line for line in metrics(sweep / str(job)) if "loss" in line] for job in range(3)]
    last = [statistics.fmean(line["loss"] for line in lines[-5:]) for lines in steps]
    for lines, end in zip(steps, last, strict=True):
        assert [line["step"] for line in lines] == [*range(1, 25)]
        assert lines[0]["loss"] == pytest.approx(NATS, abs=0.8)
        assert end < 0.75 * NATS
        assert {"lr", "grad_norm", "tokens_per_second", "tokens_per_second_per_device", "step_time"} <= lines[-1].keys()
        assert {"memory_peak", "tokens"} <= lines[-1].keys()
    assert max(last) < 1.25 * min(last)
    assert [lines[-1]["tokens"] for lines in steps] == [24 * 128 * 4 * _readers(words)] * 3
    for of_three in zip(*steps, strict=True):  # the schedule is the same, step by step
        assert [line["lr"] for line in of_three] == pytest.approx([of_three[0]["lr"]] * 3, rel=1e-4)
    heldout = [line["validation_loss"] for job in range(3) for line in metrics(sweep / str(job))[-1:]]
    assert max(heldout) < 1.25 * min(heldout)
    assert (sweep / "report.html").stat().st_size > 100_000
    _one_parent(work, sweep)


def _readers(words: tuple[str, ...]) -> int:
    return 2 if words == ("ranks_per_node=2",) else 1


def _one_parent(work: Path, sweep: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{work}/outputs/mlflow.db")
    parent = json.loads((sweep / "record.json").read_text())
    assert "report.html" in [file.path for file in client.list_artifacts(parent["run_id"])]
    for job in range(3):
        child = client.get_run(json.loads((sweep / f"{job}/record.json").read_text())["run_id"])
        assert child.data.tags["mlflow.parentRunId"] == parent["run_id"]
        assert len(client.get_metric_history(child.info.run_id, "loss")) == 24
