"""The recorder as a process: what it does when it, the launcher or the agents are killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.files import read_json
from primus.node import rundir

from .conftest import REPOSITORY, Mlflow, Recorder, said, wait_until
from .run_directories import START, end_nodes, make_run, report, write_metrics

pytestmark = pytest.mark.mlflow


def test_only_the_store_imports_mlflow_and_only_when_it_is_used() -> None:
    package = REPOSITORY / "primus" / "launch" / "record"
    names = [f"primus.launch.record.{path.stem}" for path in package.glob("*.py")] + ["primus.launch.outcome"]
    program = f"import sys, importlib\nfor n in {names}: importlib.import_module(n)\nsys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0
    assert [path.name for path in package.glob("*.py") if "mlflow import" in path.read_text()] == ["store.py"]


def test_a_recorder_that_is_killed_is_completed_later_with_each_metric_once(
    root: Path, mlflow: Mlflow, recorder: Recorder
) -> None:
    directory = root / "exp" / "run"
    make_run(directory)
    write_metrics(directory, range(3000))
    process = recorder(directory)
    wait_until(lambda: read_json(directory / rundir.RECORD).get("offsets"))
    process.kill()
    process.wait()
    assert not read_json(directory / rundir.RECORD)["complete"]
    write_metrics(directory, range(3000, 3500))
    end_nodes(directory)
    write_result(directory, START, interrupted=False)

    assert recorder(directory, "--once").wait() == 0
    (run,) = mlflow.runs("exp")
    assert [step for step, _, _ in mlflow.history(run, "loss")] == list(range(3500))
    assert run.info.status == "FINISHED"


def test_a_recorder_that_is_killed_while_it_makes_the_database_leaves_nothing_half_made(
    tmp_path: Path, recorder: Recorder
) -> None:
    root = tmp_path / "new"
    directory = root / "exp" / "run"
    make_run(directory)
    process = recorder(directory)
    part = root / ".mlflow.db.part"
    wait_until(lambda: part.exists() and part.stat().st_size)
    process.kill()
    process.wait()
    assert not (root / "mlflow.db").exists()
    end_nodes(directory)
    write_result(directory, START, interrupted=False)

    assert recorder(directory, "--once").wait() == 0
    assert read_json(directory / rundir.RECORD)["complete"]
    assert not part.exists()


def test_when_the_launcher_is_killed_the_run_is_recorded_as_killed(
    root: Path, mlflow: Mlflow, recorder: Recorder
) -> None:
    directory = root / "exp" / "run"
    make_run(directory, nodes=2)
    launcher_has, recorder_has = os.pipe()[::-1]
    process = recorder(directory, lifeline=recorder_has)
    os.close(recorder_has)
    wait_until(lambda: read_json(directory / rundir.RECORD).get("run_id"))
    os.close(launcher_has)
    killed = {"status": "killed", "exit_code": 130, "message": None, "root_cause": None}
    rundir.write_json(directory / rundir.node_facts(0), report(0, killed))
    write_metrics(directory, range(5))
    assert not (directory / rundir.RESULT).exists()  # node 1 is still ending its ranks
    rundir.write_json(directory / rundir.node_facts(1), report(1, killed))

    assert process.wait() == 0
    result = read_json(directory / rundir.RESULT)
    assert (result["status"], result["exit_code"], result["message"]) == ("KILLED", 130, "the launcher was killed")
    (run,) = mlflow.runs("exp")
    assert run.info.status == "KILLED"
    assert len(mlflow.history(run, "loss")) == 5


def test_when_the_launcher_of_a_sweep_is_killed_so_is_the_sweep(root: Path, mlflow: Mlflow, recorder: Recorder) -> None:
    directory = root / "exp" / "sweep"
    jobs = [{"index": n, "overrides": [f"x={n}"]} for n in range(3)]
    rundir.write_json(directory / "sweep.json", {"id": "sweep", "experiment": "exp", "jobs": jobs})
    for name in ("0", "1"):
        make_run(directory / name, sweep="sweep", config={"experiment": {"name": "exp"}})
        end_nodes(directory / name)
    write_result(directory / "0", START, interrupted=False)
    launcher_has, recorder_has = os.pipe()[::-1]
    process = recorder(directory, lifeline=recorder_has)
    os.close(recorder_has)
    os.close(launcher_has)
    assert process.wait() == 0
    assert {run.info.run_name: run.info.status for run in mlflow.runs("exp")} == {
        "sweep": "KILLED",
        "sweep/0": "FINISHED",
        "sweep/1": "KILLED",
    }


def test_a_launcher_that_is_killed_before_it_wrote_a_plan_leaves_nothing_to_record(
    root: Path, recorder: Recorder
) -> None:
    (root / "exp" / "run").mkdir(parents=True)
    launcher_has, recorder_has = os.pipe()[::-1]
    process = recorder(root / "exp" / "run", lifeline=recorder_has)
    os.close(recorder_has)
    os.close(launcher_has)
    assert process.wait() == 0


def test_recorders_that_start_at_once_share_a_new_database(tmp_path: Path, recorder: Recorder) -> None:
    directories = [tmp_path / "outputs" / f"exp{n % 2}" / f"run{n}" for n in range(4)]
    for directory in directories:
        make_run(directory)
        write_metrics(directory, range(10))
        end_nodes(directory)
        write_result(directory, START, interrupted=False)
    processes = [recorder(directory) for directory in directories]
    assert [process.wait() for process in processes] == [0] * 4
    found = Mlflow(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert sorted(run.info.run_name for n in range(2) for run in found.runs(f"exp{n}")) == [f"run{n}" for n in range(4)]


def test_two_recorders_of_one_directory_do_not_meet(root: Path, recorder: Recorder) -> None:
    directory = root / "exp" / "run"
    make_run(directory)
    first = recorder(directory)
    wait_until(lambda: read_json(directory / rundir.RECORD).get("run_id"))
    second = recorder(directory, "--once")
    assert second.wait() == 1
    assert "being recorded by another process" in said(second)
    end_nodes(directory)
    write_result(directory, START, interrupted=False)
    assert first.wait() == 0


def test_a_terminal_that_is_interrupted_or_closed_does_not_end_the_recorder(root: Path, recorder: Recorder) -> None:
    directory = root / "exp" / "run"
    make_run(directory)
    process = recorder(directory)
    wait_until(lambda: read_json(directory / rundir.RECORD).get("run_id"))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    end_nodes(directory)
    write_result(directory, START, interrupted=True)
    assert process.wait() == 0
    assert json.loads((directory / rundir.RECORD).read_text())["complete"]
