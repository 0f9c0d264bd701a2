"""Sweeps of real jobs: packed, followed, taken up again."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.sweep.table import JobTable

from ...conftest import PATIENCE, PATIENT, Primus, Rank, Start, gone

OFF = "tracking.enabled=false"
# Fails where FAIL is in its environment; else reports a loss that is its A.
JOB = """
import json, os, sys
if os.environ.get("FAIL") == os.environ["A"]:
    sys.exit("no luck")
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    file.write(json.dumps({"time": 1.0, "step": 1, "loss": float(os.environ["A"])}) + "\\n")
print("cores", len(os.sched_getaffinity(0)))
"""


@pytest.fixture
def sweep_directory(work: Path) -> Any:
    def find() -> Path:
        (directory,) = (work / "outputs/default").iterdir()
        return directory

    return find


def results(directory: Path) -> dict[str, str]:
    files = sorted(directory.glob("*/result.json"))
    return {file.parent.name: json.loads(file.read_text())["status"] for file in files}


def status(directory: Path) -> str | None:
    told = json.loads((directory / "sweep.json").read_text()).get("status")
    return None if told is None else str(told)


def test_every_combination_is_a_job(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    said = primus("-m", *rank(JOB), OFF, "env.set.A=1,2", "env.set.B=x,y")
    assert (said.code, said.err) == (0, "")
    directory = sweep_directory()
    assert results(directory) == {str(i): "FINISHED" for i in range(4)}
    assert status(directory) == "FINISHED"
    typed = [json.loads((directory / f"{i}/plan.json").read_text())["overrides"][-2:] for i in range(4)]
    assert typed == [[f"env.set.A={a}", f"env.set.B={b}"] for a in "12" for b in "xy"]


def test_the_last_lines_say_where_it_is_which_was_best_where_its_report_is_and_how_to_go_on(
    primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    said = primus("-m", *rank(JOB), OFF, "env.set.A=3,2,5").out
    where = sweep_directory().relative_to(Path.cwd())
    assert said.splitlines()[-5:] == [
        f"sweep   {where}  (3 of 3 jobs finished)",
        "best    loss 2.0000, job 1",
        f"report  {where}/report.html",
        "browse  nothing recorded in MLflow (tracking.enabled=false)",
        f"replay  primus replay={where}/1",
    ]


def test_a_failing_job_stops_no_other_and_fails_the_sweep(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    said = primus("-m", *rank(JOB), OFF, "env.set.FAIL=2", "env.set.A=1,2,3")
    assert said.code == 1
    directory = sweep_directory()
    assert results(directory) == {"0": "FINISHED", "1": "FAILED", "2": "FINISHED"}
    assert status(directory) == "FAILED"
    assert "job 1:\nprimus: rank 0 on node 0 failed first: it ended with exit code 1.\n  no luck\n" in said.err
    assert "(2 of 3 jobs finished)" in said.out


def test_a_sweep_that_failed_goes_on_with_what_failed(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    words = ("-m", *rank(JOB), OFF, "env.set.A=1,2,3", "env.forward=[FAIL]")
    os.environ["FAIL"] = "2"
    try:
        assert primus(*words).code == 1
        os.environ["FAIL"] = "none"
        said = primus(*words, "sweep.resume=true")
    finally:
        del os.environ["FAIL"]
    assert said.code == 0, said.err
    directory = sweep_directory()
    assert results(directory) == {"0": "FINISHED", "1": "FINISHED", "1.try-1": "FAILED", "2": "FINISHED"}
    assert status(directory) == "FINISHED"
    assert "job 0  done before  env.set.A=1  loss 1.0000\n" in said.out
    assert "best    loss 1.0000, job 0\n" in said.out
    assert "(3 of 3 jobs finished)" in said.out


def test_a_sweep_with_secrets_is_found_again(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    words = ("-m", *rank(JOB), OFF, "env.set.A=1,2", "env.set.FAIL=2", "env.set.HF_TOKEN=hf_abcdefgh")
    assert primus(*words).code == 1
    assert primus(*words, "sweep.resume=true").code == 1
    assert "hf_abcdefgh" not in "".join(f.read_text() for f in sweep_directory().rglob("*") if f.is_file())


def test_a_sweep_that_never_was_cannot_go_on(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus("-m", *rank(JOB), OFF, "env.set.A=1,2", "sweep.resume=true")
    assert said.code == 2
    assert said.err.startswith("primus: sweep.resume: no unfinished sweep with these overrides in ")
    assert not (work / "outputs").exists()


def test_each_job_is_bound_to_its_share_of_the_cores(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    assert primus("-m", *rank(JOB), OFF, "env.set.A=1,2", "hydra.launcher.parallel=1").code == 0
    assert primus("-m", *rank(JOB), OFF, "env.set.A=1,2", "experiment.name=packed").code == 0
    cores = len(os.sched_getaffinity(0))
    (packed,) = Path("outputs/packed").iterdir()
    for directory, share in ((sweep_directory(), cores), (packed, 1)):
        logs = [(directory / f"{i}/logs/node-0/rank-0.log").read_text() for i in (0, 1)]
        assert all(f"| cores {share}\n" in log for log in logs)


def test_one_job_is_a_sweep_too(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    assert primus("-m", *rank(JOB), OFF, "env.set.A=1").code == 0
    assert results(sweep_directory()) == {"0": "FINISHED"}


def test_batches_of_a_sweep_are_one_sweep(primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    said = primus("-m", *rank(JOB), OFF, "env.set.A=1,2,3", "hydra.sweeper.max_batch_size=2")
    assert said.code == 0, said.err
    assert results(sweep_directory()) == {"0": "FINISHED", "1": "FINISHED", "2": "FINISHED"}
    assert len(json.loads((sweep_directory() / "sweep.json").read_text())["jobs"]) == 3
    assert "job 2  finished" in said.out


def test_a_batch_that_went_well_does_not_make_up_for_one_that_failed(
    primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    words = (*rank(JOB), OFF, "env.set.A=1,2", "env.set.FAIL=1", "hydra.sweeper.max_batch_size=1")
    assert primus("-m", *words).code == 1
    assert results(sweep_directory()) == {"0": "FAILED", "1": "FINISHED"}
    assert status(sweep_directory()) == "FAILED"


def test_after_a_batch_with_a_mistake_no_other_is_started(primus: Primus, rank: Rank, work: Path) -> None:
    words = (*rank(JOB), OFF, "node.grace_period=1,x,3", "env.set.A=1", "hydra.sweeper.max_batch_size=1")
    said = primus("-m", *words)
    assert (said.code, said.err.split(":")[1]) == (2, " node.grace_period")
    assert [path.parent.name for path in (work / "outputs").rglob("result.json")] == ["0"]


WAITS = """
import os, time
print("started", flush=True)
open(os.environ["A"], "w").write(str(os.getpid()))
if os.environ["A"] != "1" and not os.path.exists("go"):
    time.sleep(600)
"""


def wait_for(path: Path) -> str:
    """The text that a rank writes into a file; the file is there with its text."""
    import time

    until = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.01)
    return path.read_text()


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    start: Start, rank: Rank, work: Path, sweep_directory: Any
) -> None:
    words = ("-m", *rank(WAITS), OFF, "env.set.A=1,2,3", "hydra.launcher.parallel=1")
    process = start(*words)
    pid = int(wait_for(work / "2"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert gone(pid)
    directory = sweep_directory()
    assert results(directory) == {"0": "FINISHED", "1": "KILLED"}
    assert status(directory) == "KILLED"
    assert "(1 of 3 jobs finished)" in out
    assert "Traceback" not in err

    (work / "1").unlink()
    (work / "go").write_text("")
    again = start(*words, "sweep.resume=true")
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert results(directory) == {"0": "FINISHED", "1": "FINISHED", "1.try-1": "KILLED", "2": "FINISHED"}
    assert not (work / "1").exists(), "a job that had finished ran once more"


def test_a_sweep_whose_launcher_was_killed_leaves_no_rank_and_goes_on(
    start: Start, rank: Rank, work: Path, sweep_directory: Any
) -> None:
    words = ("-m", *rank(WAITS), OFF, "env.set.A=1,2", "hydra.launcher.parallel=2")
    process = start(*words)
    pid = int(wait_for(work / "2"))
    process.kill()
    process.communicate()
    assert gone(pid)
    assert status(sweep_directory()) is None
    (work / "go").write_text("")
    again = start(*words, "sweep.resume=true")
    _, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert status(sweep_directory()) == "FINISHED"


def test_a_sweep_under_hydras_own_launcher_is_single_runs_that_fail_as_one(
    primus: Primus, rank: Rank, work: Path
) -> None:
    said = primus("-m", "hydra/launcher=basic", *rank(JOB), OFF, "env.set.FAIL=1", "env.set.A=1,2")
    assert said.code == 1
    kept = sorted(yaml.safe_load(p.read_text())[-1] for p in (work / "outputs/default").glob("*/overrides.yaml"))
    assert kept == ["env.set.A=1", "env.set.A=2"]


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # MLflow 3.17 with SQLAlchemy 2.1
def test_mlflow_has_a_parent_run_with_a_child_for_each_job(
    start: Start, rank: Rank, work: Path, sweep_directory: Any
) -> None:
    process = start("-m", *rank(JOB), PATIENT, "env.set.FAIL=2", "env.set.A=1,2,3")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{work}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("default").experiment_id])
    sweep = sweep_directory().name
    (parent,) = [run for run in runs if run.info.run_name == sweep]
    children = {run.info.run_name: run for run in runs if run is not parent}
    assert {name: run.info.status for name, run in children.items()} == {
        f"{sweep}/0": "FINISHED",
        f"{sweep}/1": "FAILED",
        f"{sweep}/2": "FINISHED",
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert parent.info.status == "FAILED"
    assert children[f"{sweep}/2"].data.metrics["loss"] == 3.0


def test_a_line_is_printed_for_each_change_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = JobTable(["lr=1", ""])
    table.set(0, "running")
    table.set(0, "running", {"step": 3, "loss": 2.5})
    table.set(0, "finished", {"step": 9, "loss": 1.5})
    table.set(1, "failed")
    table.close()
    assert capsys.readouterr().out.splitlines() == [
        "job 0  running   lr=1",
        "job 0  finished  lr=1  loss 1.5000",
        "job 1  failed    (as composed)",
    ]
