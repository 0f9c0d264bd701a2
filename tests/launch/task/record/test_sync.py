"""`task=record/sync`: which records it completes, and what it says."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.files import read_json
from primus.node import rundir

from ....conftest import Primus
from ...record.run_directories import START, end_nodes, make_run, write_metrics

pytestmark = [
    pytest.mark.mlflow,
    # MLflow 3.17 with SQLAlchemy 2.1, where it looks for runs; can go with an MLflow that is made for SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


@pytest.fixture
def root(work: Path, new_database: Path) -> Path:
    (work / "outputs").mkdir()
    shutil.copy(new_database, work / "outputs" / "mlflow.db")
    return work / "outputs"


def run(directory: Path, **tracking: object) -> Path:
    """A run that is over, and not recorded."""
    experiment = {"name": "exp"}
    sweep = directory.parent.name if directory.name.isdigit() else None
    make_run(directory, sweep=sweep, config={"experiment": experiment, "tracking": tracking})
    write_metrics(directory, range(5))
    end_nodes(directory)
    write_result(directory, START, interrupted=False)
    return directory


def complete(directory: Path) -> bool:
    return bool(read_json(directory / rundir.RECORD).get("complete"))


def test_all_completes_every_record_that_was_to_be_and_is_not_complete(root: Path, primus: Primus) -> None:
    a, b, off = run(root / "exp/a"), run(root / "exp/b"), run(root / "exp/c", enabled=False)
    make_run(going := root / "exp/d")
    rundir.write_json(going / rundir.HANDLE, {})  # never begun: LOST, so it is over
    assert primus("task=record/sync", "run=exp/a", "task.compare=false").code == 2
    assert primus("task=record/sync", "run=a", "task.compare=false").out == (
        "outputs/exp/a  complete: 5 lines of metrics and 10 files added\n"
    )
    dry = primus("task=record/sync", "run=all", "dry_run=true")
    assert dry.out == "complete the MLflow record of\noutputs/exp/b\noutputs/exp/d\n"
    said = primus("task=record/sync", "run=all")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("2 of 2 records are complete\n")
    assert (complete(a), complete(b), complete(off), complete(going)) == (True, True, False, True)
    assert primus("task=record/sync", "run=all").out == "every record is complete\n"


def test_a_run_that_was_not_to_be_recorded_is_when_it_is_named(root: Path, primus: Primus) -> None:
    off = run(root / "exp/off", enabled=False)
    assert primus("task=record/sync", "run=off").code == 0
    assert complete(off)


def test_a_sweep_is_completed_with_its_jobs(root: Path, primus: Primus) -> None:
    sweep = root / "exp/sweep"
    jobs = [{"index": n, "overrides": [f"x={n}"]} for n in range(3)]
    rundir.write_json(sweep / "sweep.json", {"id": "sweep", "experiment": "exp", "jobs": jobs, "status": "KILLED"})
    run(sweep / "0")
    run(sweep / "1")
    alone = run(root / "exp/alone")
    said = primus("task=record/sync", f"runs=[{sweep},alone]")
    assert said.out == (
        "outputs/exp/sweep  complete: 10 lines of metrics and 22 files added; "
        "20 points compared with MLflow's, all there\n"
        "outputs/exp/alone  complete: 5 lines of metrics and 10 files added; "
        "10 points compared with MLflow's, all there\n"
        "2 of 2 records are complete\n"
    )
    assert all(complete(path) for path in (sweep, sweep / "0", sweep / "1", alone))


def test_points_that_a_database_has_lost_are_added_and_a_run_that_it_has_lost_is_recorded_anew(
    root: Path, primus: Primus
) -> None:
    run(root / "exp/a")
    assert primus("task=record/sync", "run=a").code == 0
    with sqlite3.connect(root / "mlflow.db") as database:
        database.execute("delete from metrics where key = 'loss' and step > 2")
    database.close()
    assert "complete, nothing to add; 10 points compared with MLflow's, 2 of them missing until now" in (
        primus("task=record/sync", "run=a").out
    )
    with sqlite3.connect(root / "mlflow.db") as database:  # as when a backup of it is put back
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"delete from {table}")
    database.close()
    said = primus("task=record/sync", "run=a")
    assert f"sqlite:///{root}/mlflow.db has no run " in said.out
    assert "complete: 5 lines of metrics and 10 files added; 10 points compared with MLflow's, all there" in said.out


def test_nothing_is_sent_to_a_server_that_the_run_alone_names(root: Path, primus: Primus) -> None:
    stranger = run(root / "exp/stranger", uri="http://me:pw@127.0.0.1:1/")
    said = primus("task=record/sync", "run=stranger")
    assert said.code == 3
    assert said.out == (
        "outputs/exp/stranger  not complete\n  its record is at http://***@127.0.0.1:1/; to complete it there, say so: "
        "tracking.uri='http://***@127.0.0.1:1/' with the credentials\n"
    )
    assert primus("task=record/sync", "run=stranger", f"tracking.uri=sqlite:///{root}/mlflow.db").code == 0
    assert complete(stranger)


# The end of the time is raised wherever the process is, in this test's own too: a file may be half open then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_does_not_answer_is_not_waited_for_by_each_run_in_turn(root: Path, primus: Primus) -> None:
    for name in "abc":
        run(root / f"exp/{name}")
    said = primus("task=record/sync", "run=all", "tracking.uri=http://127.0.0.1:1", "tracking.wait=1")
    assert said.code == 3
    assert said.out.count("not complete\n") == 3
    assert said.out.endswith("0 of 3 records are complete\n")


def test_a_run_must_be_named_and_be_there(primus: Primus) -> None:
    said = primus("task=record/sync")
    assert said.code == 2
    assert "task=record/sync needs a run: run=<run directory, run id or Slurm job id>, runs=[<run>," in said.err
    assert primus("task=record/sync", "run=nowhere").code == 2
