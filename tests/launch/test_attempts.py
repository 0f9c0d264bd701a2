"""`resume=`: another start of a run in its own directory and record."""

import json
from pathlib import Path
from typing import Any

import pytest

from primus.launch import attempts
from primus.launch.record import state
from primus.launch.record.tail import Position

from ..conftest import PATIENCE, PATIENT, Primus, Rank, Start

OFF = "tracking.enabled=false"
# Fails at its first start, after two steps; its second one goes on from there.
TWICE = """
import json, os, pathlib, sys
path = pathlib.Path(os.environ["PRIMUS_METRICS"])
path.parent.mkdir(exist_ok=True)
again = path.exists()
with path.open("a") as file:
    for step in (3, 4) if again else (1, 2):
        file.write(json.dumps({"time": 1.0 * step, "step": step, "loss": 1 / step}) + "\\n")
print("start", 2 if again else 1)
sys.exit(0 if again else 3)
"""


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.fixture
def failed(primus: Primus, rank: Rank, work: Path) -> Path:
    """The directory of a run whose only start so far has failed."""
    assert primus(*rank(TWICE), OFF).code == 1
    (directory,) = (work / "outputs/default").iterdir()
    return directory


def test_a_run_goes_on_in_its_own_directory(primus: Primus, failed: Path, work: Path) -> None:
    said = primus(f"resume={failed}")
    assert said.code == 0, said.err
    assert [path.name for path in (work / "outputs/default").iterdir()] == [failed.name]
    assert (read(failed / "result.json")["status"], read(failed / "result.json")["step"]) == ("FINISHED", 4)
    log = (failed / "logs/node-0/rank-0.log").read_text()
    assert log.index("start 1") < log.index("start 2")


def test_what_the_first_start_left_is_kept(primus: Primus, failed: Path) -> None:
    before = read(failed / "result.json")
    assert primus(f"resume={failed}").code == 0
    first = failed / "attempts/1"
    assert read(first / "result.json") == before
    assert {path.name for path in first.iterdir()} == {
        *("plan.json", "config.yaml", "overrides.yaml", "result.json", "nodes")
    }
    assert "start 2 of this run" in (failed / "logs/launch.log").read_text()


def test_the_plan_of_the_second_start_is_of_the_same_run_with_what_was_changed(primus: Primus, failed: Path) -> None:
    assert primus(f"resume={failed.name}", "env.set.A=b").code == 0
    first, second = read(failed / "attempts/1/plan.json"), read(failed / "plan.json")
    assert (second["run_id"], second["directory"]) == (first["run_id"], first["directory"])
    assert second["replay_of"] is None
    assert second["config"]["env"]["set"] == {"A": "b"}


def test_it_runs_where_it_was_started_first(
    primus: Primus, failed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert primus(f"resume={failed}").code == 0
    assert read(failed / "plan.json")["job"]["directory"] == read(failed / "attempts/1/plan.json")["job"]["directory"]
    assert not (tmp_path / "outputs").exists()


def test_a_run_that_is_still_running_is_left_alone(primus: Primus, start: Start, rank: Rank, work: Path) -> None:
    process = start(*rank("print('here', flush=True); import time; time.sleep(60)"), OFF)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    (directory,) = (work / "outputs/default").iterdir()
    said = primus(f"resume={directory}")
    assert said.code == 2
    assert said.err.endswith(f"primus: resume: {directory} is still running\n")
    assert not (directory / "attempts").exists()
    process.terminate()
    process.communicate(timeout=PATIENCE)


def test_a_dry_run_of_it_touches_nothing(primus: Primus, failed: Path) -> None:
    before = sorted(failed.rglob("*"))
    assert primus(f"resume={failed}", "dry_run=true").code == 0
    assert sorted(failed.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task=train/evaluate", "checkpoint={run}"), "a run of task=command, which has no checkpoints of a model"),
        (("task=train/evaluate",), "needs a checkpoint: give it with checkpoint=<run or folder>"),
        (("resume=nothing",), "resume=nothing: not under outputs/"),
        (("resume={run}", "replay={run}"), "replay= makes a new run of an old one, resume= goes on with it"),
        (("-m", "resume={run}", "task.command=a,b"), "resume= goes on with one run: leave out --multirun"),
    ],
)
def test_what_cannot_be_resumed_is_refused(primus: Primus, failed: Path, words: tuple[str, ...], said: str) -> None:
    told = primus(*(word.format(run=failed) for word in words))
    assert told.code == 2
    assert said in told.err


@pytest.mark.mlflow
# mlflow 3.17.2 with the SQLAlchemy that it pins.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_the_record_goes_on_in_the_same_mlflow_run(primus: Primus, rank: Rank, work: Path) -> None:
    from mlflow import MlflowClient

    assert primus(*rank(TWICE), PATIENT).code == 1
    (directory,) = (work / "outputs/default").iterdir()
    record = read(directory / "record.json")
    assert primus(f"resume={directory}").code == 0
    after = read(directory / "record.json")
    assert (after["run_id"], after["complete"]) == (record["run_id"], True)
    client = MlflowClient(f"sqlite:///{work}/outputs/mlflow.db")
    run = client.get_run(record["run_id"])
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(record["run_id"], "loss")] == [1, 2, 3, 4]


def test_results_begin_anew_and_the_record_with_them(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text('{"kind": "io", "time": 1.0}\n')
    state.save(tmp_path, state.Record().moved({"results.jsonl": Position(28, 1)}))
    attempts.requeued(tmp_path)
    assert (tmp_path / "attempts/1/results.jsonl").is_file()
    assert not (tmp_path / "results.jsonl").exists()
    assert read(tmp_path / "record.json")["offsets"] == {"results.jsonl": 0}
