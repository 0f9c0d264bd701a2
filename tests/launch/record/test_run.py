"""One run directory in a real MLflow store."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.run import RunRecord
from primus.launch.record.store import Store
from primus.node import rundir
from primus.node.plan import to_json

from .conftest import Mlflow
from .run_directories import (
    START,
    TRACEBACK,
    append,
    end_nodes,
    make_run,
    write_host_metrics,
    write_metrics,
)

pytestmark = pytest.mark.mlflow


def record(directory: Path, store: Store) -> dict[str, Any]:
    """Record what there is, and let go; returns record.json."""
    recording = RunRecord(directory, store)
    recording.advance()
    recording.close()
    found: dict[str, Any] = json.loads((directory / rundir.RECORD).read_text())
    return found


def finished_run(directory: Path, status: str = "finished", **more: Any) -> None:
    make_run(directory, **more)
    write_metrics(directory, range(20))
    end_nodes(directory, status=status)
    write_result(directory, START, interrupted=False)


def test_a_finished_run_is_recorded_whole(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "20261121-090801-ab"
    finished_run(directory, replay_of="20261120-1")
    write_host_metrics(directory, 2)
    state = record(directory, store)
    assert (state["complete"], state["errors"]) == (True, [])

    run = mlflow.run(state["run_id"])
    assert (run.info.run_name, run.info.status) == (directory.name, "FINISHED")
    assert run.info.end_time == round(json.loads((directory / rundir.RESULT).read_text())["ended"] * 1000)
    assert run.data.params == {"experiment.name": "exp", "task.steps": "20", "task.lr": "0.003", "data.files": "[]"}
    assert mlflow.history(run, "loss") == [(n, round((START + n / 2) * 1000), 4.0 - n / 1000) for n in range(20)]
    assert [value for _, _, value in mlflow.history(run, "system/cpu_percent")] == [50.0, 51.0]
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("primus.")}
    assert tags.pop("primus.record") == state["token"]
    assert tags == {
        "primus.run_id": directory.name,
        "primus.status": "FINISHED",
        "primus.exit_code": "0",
        "primus.task": "train/pretrain",
        "primus.backend": "torchtitan",
        "primus.backend_version": "0.3.0",
        "primus.nodes": "1",
        "primus.world_size": "2",
        "primus.host": "gpu00",
        "primus.device": "2 x NVIDIA H200",
        "primus.git_commit": "0123456789abcdef0123456789abcdef01234567",
        "primus.git_dirty": "false",
        "primus.replay_of": "20261120-1",
        "primus.run_directory": str(directory),
    }
    assert run.data.tags["mlflow.source.name"] == "primus"
    assert f"primus replay={run.info.run_id}" in run.data.tags["mlflow.note.content"]


def test_the_artifacts_are_the_run_directory(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "run"
    finished_run(directory)
    rundir.write_text(directory / "report.html", "<p>good</p>")
    rundir.write_text(directory / "logs" / ".rank-0.log.123", "half")
    (directory / "code" / "data").symlink_to("/")
    state = record(directory, store)
    artifacts = Path(state["artifact_uri"])
    names = {str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file()}
    assert names == {
        "plan.json",
        "config.yaml",
        "overrides.yaml",
        "code/revision.json",
        "nodes/0.json",
        "logs/launch.log",
        "logs/node-0/rank-0.log",
        "metrics/rank-0.jsonl",
        "result.json",
        "report.html",
        "packages.txt",
    }
    assert artifacts.is_relative_to(root / "mlartifacts" / "exp")
    assert (artifacts / "plan.json").read_bytes() == (directory / "plan.json").read_bytes()


def test_a_run_without_a_report_yet_gets_one_as_an_artifact(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "run"
    finished_run(directory)
    state = record(directory, store)
    assert "<title>exp run</title>" in (Path(state["artifact_uri"]) / rundir.REPORT).read_text()
    note = mlflow.run(state["run_id"]).data.tags["mlflow.note.content"]
    assert f"/runs/{state['run_id']}/artifacts/report.html)" in note


def test_a_failed_run_says_which_rank_failed_and_with_which_traceback(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "run"
    finished_run(directory, status="failed")
    run = mlflow.run(record(directory, store)["run_id"])
    assert run.info.status == "FAILED"
    assert run.data.tags["primus.exit_code"] == "1"
    assert run.data.tags["primus.error"] == TRACEBACK
    note = run.data.tags["mlflow.note.content"]
    assert TRACEBACK in note
    assert "rank 1 on node 0, exit code 3, log `logs/node-0/rank-1.log`" in note


@pytest.mark.parametrize("named", [True, False])
def test_a_log_that_is_none_of_the_run_has_no_traceback_to_record(
    named: bool, root: Path, store: Store, mlflow: Mlflow
) -> None:
    directory = root / "exp" / "run"
    finished_run(directory, status="failed")
    log = directory / "logs/node-0/rank-1.log"
    log.rename(root / "mine")
    if named:
        result = json.loads((directory / rundir.RESULT).read_text())
        result["root_cause"]["log"] = str(root / "mine")
        rundir.write_json(directory / rundir.RESULT, result)
    else:
        log.symlink_to(root / "mine")
    tags = mlflow.run(record(directory, store)["run_id"]).data.tags
    assert not [name for name, value in tags.items() if TRACEBACK in value]


def test_a_running_run_is_there_while_it_runs(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "run"
    make_run(directory)
    recording = RunRecord(directory, store)
    assert not recording.advance()
    run = mlflow.run(str(recording.record.run_id))
    assert (run.info.status, run.data.tags["primus.status"]) == ("RUNNING", "RUNNING")
    assert (Path(str(recording.record.artifact_uri)) / "plan.json").exists()
    for steps in (range(5), range(5, 9)):
        write_metrics(directory, steps)
        assert not recording.advance()
        assert len(mlflow.history(run, "loss")) == steps.stop
    end_nodes(directory)
    write_result(directory, START, interrupted=True)
    assert recording.advance()
    assert mlflow.run(run.info.run_id).info.status == "KILLED"
    recording.close()


@pytest.mark.parametrize(("task", "waits"), [("command", True), ("train/pretrain", False)])
def test_ranks_of_a_command_that_may_yet_report_their_loss_are_waited_for(
    task: str, waits: bool, root: Path, store: Store, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = root / "exp" / "run"
    rundir.write_text(directory / rundir.PLAN, to_json(replace(make_run(directory), task=task)))
    recording = RunRecord(directory, store)
    for step in range(3):
        write_metrics(directory, range(step, step + 1), rank=1)
        recording.advance()
        run = mlflow.run(str(recording.record.run_id))
        assert len(mlflow.history(run, "loss")) == (0 if waits and step < 2 else step + 1)
        if step == 1:
            monkeypatch.setattr("primus.launch.record.run._PATIENCE", 0.0)  # it is over
    recording.close()


def test_the_loss_of_a_rank_that_comes_late_is_that_of_the_result(root: Path, store: Store, mlflow: Mlflow) -> None:
    directory = root / "exp" / "run"
    rundir.write_text(directory / rundir.PLAN, to_json(replace(make_run(directory), task="command")))
    write_metrics(directory, range(5), rank=1, accuracy=0.25)
    recording = RunRecord(directory, store)
    recording.advance()
    write_metrics(directory, range(5), rank=0, accuracy=0.75)
    end_nodes(directory)
    result = write_result(directory, START, interrupted=False)
    assert recording.advance()
    recording.close()
    run = mlflow.run(str(recording.record.run_id))
    assert (run.data.metrics["accuracy"], run.data.metrics["rank1/accuracy"]) == (0.75, 0.25)
    assert result["metrics"]["accuracy"] == 0.75
    assert len(mlflow.history(run, "accuracy")) == len(mlflow.history(run, "rank1/accuracy")) == 5


@pytest.mark.parametrize("forgotten", ["offsets", "run_id", "complete", "artifacts"])
def test_a_recorder_killed_before_it_noted_what_it_did_repeats_nothing(
    forgotten: str, root: Path, store: Store, mlflow: Mlflow
) -> None:
    directory = root / "exp" / "run"
    finished_run(directory)
    first = record(directory, store)
    empty = {"offsets": {}, "run_id": None, "complete": False, "artifacts": []}
    again = {**first, "complete": False, forgotten: empty[forgotten]} | (
        {"lines": {}} if forgotten == "offsets" else {}
    )
    rundir.write_json(directory / rundir.RECORD, again)

    assert record(directory, store) == first
    assert len(mlflow.runs("exp")) == 1
    assert [step for step, _, _ in mlflow.history(mlflow.run(first["run_id"]), "loss")] == list(range(20))


def test_values_over_mlflows_limits_and_odd_names_are_recorded_all_the_same(
    root: Path, store: Store, mlflow: Mlflow
) -> None:
    directory = root / "exp" / "run"
    long = {f"key{n}(x)": "y" * 9000 for n in range(250)}
    make_run(
        directory, config={"experiment": {"name": "exp"}, "nothing": "", "long": long}, overrides=("a=" + "z" * 9000,)
    )
    append(directory / rundir.rank_metrics(0), '{"time": 5, "step": 1, "loss": NaN, "top (5%)": 1, "x": Infinity}\n')
    append(directory / rundir.rank_metrics(0), "Traceback\n" + '{"time": 6, "step": 2, "loss": 2.5}\n{"time": 7')
    end_nodes(directory)
    write_result(directory, START, interrupted=False)
    state = record(directory, store)
    run = mlflow.run(state["run_id"])
    assert len(run.data.params) == 252
    assert run.data.params["long.key7_x_"].endswith("y…[cut]")
    assert [value for _, _, value in mlflow.history(run, "top _5__")] == [1.0]
    assert [step for step, _, _ in mlflow.history(run, "loss")] == [1, 2]
    assert state["errors"] == [
        "1 lines of metrics are broken: no JSON objects with a time",
        "metrics/rank-0.jsonl: its last line was cut off",
    ]


def test_a_file_too_large_for_the_record_is_left_in_the_run_directory_and_named(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("primus.launch.record.files.LARGEST", 4 << 20)
    directory = root / "exp" / "run"
    finished_run(directory)
    rundir.write_text(directory / rundir.rank_log(0, 1), "x" * ((4 << 20) + 1))
    state = record(directory, store)
    assert state["complete"]
    assert state["errors"] == ["logs/node-0/rank-1.log: larger than 4 MiB, it is in the run directory alone"]
    assert rundir.rank_log(0, 1) not in state["artifacts"]
