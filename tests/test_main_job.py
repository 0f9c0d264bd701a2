"""The main job as a user runs it: a real training, its record, and its replay in every form that a run can be named."""

import json
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, PATIENT, Start

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.mlflow]

SMALL = (
    *("model.layers=1", "model.hidden_size=64", "model.head_size=8", "model.ffn_size=64"),
    *("task.sequence_length=32", "task.steps=4", "ranks_per_node=2", PATIENT),
)


def trained(start: Start, *words: str) -> tuple[Path, str, str]:
    """The run directory of a command that must end well, and what it printed."""
    process = start(*words)
    out, err = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, err
    (line,) = [line for line in out.splitlines() if line.startswith("run ")]
    return Path(line.split()[1]).absolute(), out, err


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics/rank-0.jsonl").read_text().splitlines()]


def test_a_training_is_replayed_loss_for_loss_from_its_directory_a_file_and_mlflow(
    start: Start, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out, _ = trained(start, *SMALL)
    assert "loss    " in out
    assert f"replay  primus replay={run.relative_to(work)}" in out
    assert len(losses(run)) == 4
    facts = json.loads((run / "nodes/0.json").read_text())
    assert (facts["world_size"], facts["packages"]["torchtitan"]) == (2, "0.3.0")
    record = json.loads((run / "record.json").read_text())
    assert record["complete"]

    again, _, err = trained(start, f"replay={run}", "replay_strict=true")
    assert losses(again) == losses(run)
    assert "nothing has changed since" in err

    by_id, _, _ = trained(start, f"replay={record['run_id']}", "tracking.enabled=false")
    assert losses(by_id) == losses(run)
    assert json.loads((by_id / "plan.json").read_text())["replay_of"] == run.name

    packed = start("task=export", f"run={run}", "to=run.tar.zst")
    packed.communicate(timeout=PATIENCE)
    assert packed.returncode == 0
    elsewhere = work.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    words = (f"replay={work}/run.tar.zst", "task.optimizer.lr=1e-4", "tracking.enabled=false")
    changed, _, _ = trained(start, *words)
    assert losses(changed)[0] == losses(run)[0]  # before the first update of the weights
    assert losses(changed)[-1] != losses(run)[-1]


def test_a_training_that_fails_says_why_and_is_recorded_as_failed(start: Start, work: Path) -> None:
    (work / "empty.txt").write_text("")
    process = start(*SMALL, "data.files=empty.txt")
    _, err = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode != 0
    assert "primus: rank " in err
    (run,) = (work / "outputs/default").iterdir()
    assert json.loads((run / "result.json").read_text())["status"] == "FAILED"
    assert json.loads((run / "record.json").read_text())["complete"]
