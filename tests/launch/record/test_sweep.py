"""A sweep: one parent run, and a child for each job that started."""

from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.__main__ import main
from primus.launch.record.files import read_json
from primus.launch.record.store import Store, tracking_uri
from primus.launch.record.sweep import SweepRecord
from primus.node import rundir

from .conftest import Mlflow
from .run_directories import START, end_nodes, make_run, write_metrics

pytestmark = pytest.mark.mlflow


def make_sweep(directory: Path, jobs: int, **more: str) -> None:
    listed = [{"index": n, "overrides": [f"task.lr={n}"]} for n in range(jobs)]
    rundir.write_json(directory / "sweep.json", {"id": directory.name, "experiment": "exp", "jobs": listed, **more})


def run_job(directory: Path, status: str = "finished") -> None:
    make_run(directory, sweep=directory.parent.name, config={"experiment": {"name": "exp"}})
    write_metrics(directory, range(5))
    end_nodes(directory, status=status)
    write_result(directory, START, interrupted=False)


def test_the_jobs_of_a_sweep_are_children_of_one_run(root: Path, mlflow: Mlflow) -> None:
    directory = root / "exp" / "20261121-sweep"
    make_sweep(directory, 3, status="FAILED")
    run_job(directory / "0")
    run_job(directory / "1", status="failed")
    assert main(["--directory", str(directory)]) == 0

    parent = mlflow.run(read_json(directory / rundir.RECORD)["run_id"])
    assert (parent.info.run_name, parent.info.status) == (directory.name, "FAILED")
    note = parent.data.tags["mlflow.note.content"]
    assert "| 0 | `task.lr=0` | FINISHED | 3.996 |" in note
    assert "| 2 | `task.lr=2` | not run |  |" in note
    assert parent.data.metrics == {"loss": 3.996, "best_loss": 3.996}
    children = [run for run in mlflow.runs("exp") if run.info.run_id != parent.info.run_id]
    assert {(run.info.run_name, run.info.status) for run in children} == {
        (f"{directory.name}/0", "FINISHED"),
        (f"{directory.name}/1", "FAILED"),
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_the_note_of_a_sweep_links_to_its_report_and_to_a_chart_of_all_losses(root: Path, mlflow: Mlflow) -> None:
    directory = root / "exp" / "sweep"
    make_sweep(directory, 2, status="FINISHED")
    run_job(directory / "0")
    run_job(directory / "1")
    assert main(["--directory", str(directory), "--once"]) == 0
    state = read_json(directory / rundir.RECORD)
    experiment, run_id = state["experiment_id"], state["run_id"]
    note = mlflow.run(run_id).data.tags["mlflow.note.content"]
    assert f"[Report](#/experiments/{experiment}/runs/{run_id}/artifacts/report.html)" in note
    assert "[Loss of all jobs in one chart](#/metric?runs=" in note
    for job in ("0", "1"):
        child = read_json(directory / job / rundir.RECORD)["run_id"]
        assert child in note
        assert f"/runs/{child}/artifacts/report.html)" in mlflow.run(child).data.tags["mlflow.note.content"]
    report = Path(state["artifact_uri"]) / rundir.REPORT
    assert "2 runs" in report.read_text()


def test_a_job_recorded_later_finds_its_parent(root: Path, mlflow: Mlflow) -> None:
    directory = root / "exp" / "sweep"
    make_sweep(directory, 1, status="FINISHED")
    assert main(["--directory", str(directory), "--once"]) == 0
    run_job(directory / "0")
    assert main(["--directory", str(directory / "0"), "--once"]) == 0
    child = mlflow.run(read_json(directory / "0" / rundir.RECORD)["run_id"])
    assert child.data.tags["mlflow.parentRunId"] == read_json(directory / rundir.RECORD)["run_id"]


def test_a_complete_record_is_left_as_it_is(root: Path, mlflow: Mlflow) -> None:
    directory = root / "exp" / "sweep"
    make_sweep(directory, 2, status="FINISHED")
    run_job(directory / "0")
    run_job(directory / "1")
    for _ in range(2):
        assert main(["--directory", str(directory), "--once"]) == 0
    assert len(mlflow.runs("exp")) == 3


def test_a_sweep_that_is_taken_up_again_ends_as_it_then_ends(root: Path, mlflow: Mlflow) -> None:
    directory = root / "exp" / "sweep"
    make_sweep(directory, 1, status="KILLED")
    assert main(["--directory", str(directory), "--once"]) == 0
    make_sweep(directory, 1)
    record = SweepRecord(directory, Store(tracking_uri(root), root))
    record.advance()
    run_job(directory / "0")
    make_sweep(directory, 1, status="FINISHED")
    assert record.advance()
    record.close()
    (parent,) = [run for run in mlflow.runs("exp") if run.info.run_name == "sweep"]
    assert (parent.info.status, parent.data.tags["primus.status"]) == ("FINISHED", "FINISHED")


def test_a_run_that_is_not_over_keeps_the_record_of_a_sweep_open(
    root: Path, mlflow: Mlflow, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = root / "exp" / "sweep"
    make_sweep(directory, 2, status="KILLED")
    run_job(directory / "0")
    make_run(directory / "1", sweep="sweep", config={"experiment": {"name": "exp"}})
    assert main(["--directory", str(directory), "--once"]) == 1
    assert f"{directory}/1: no result.json" in capsys.readouterr().err
    assert read_json(directory / "0" / rundir.RECORD)["complete"]
    assert not read_json(directory / "1" / rundir.RECORD)["complete"]
