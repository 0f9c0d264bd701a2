"""Jobs whose ranks start again, as a user sees them: the command, the result, the record, the report."""

import json
from pathlib import Path

import pytest

from ..conftest import PATIENCE, PATIENT, Primus, Rank, Start

# Rank 0 tells two steps in each start; rank 1 is killed once it has, in the first.
KILLED_ONCE = """
import json, os, time
rank, here = int(os.environ["RANK"]), os.environ["PRIMUS_RUN_DIR"]
first = not os.path.exists(f"{here}/killed")
def told():
    path = f"{here}/metrics/rank-0.jsonl"
    return len(open(path).readlines()) if os.path.exists(path) else 0
if rank == 0:
    for step in (1, 2) if first else (3, 4):
        with open(os.environ["PRIMUS_METRICS"], "a") as file:
            file.write(json.dumps({"time": time.time(), "step": step, "loss": 1 / step}) + "\\n")
    if first: time.sleep(600)
while told() < (2 if first else 4): time.sleep(0.01)
if first:
    open(f"{here}/killed", "w").close()
    os.kill(os.getpid(), 9)
"""

# In every rank of a training: after step 6 of its first start it is killed, as by the kernel for want of memory.
KILLS = """
import os, signal
write = os.write
def killing(descriptor, data):
    written = write(descriptor, data)
    if b'"step": 6,' in data and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return written
os.write = killing
"""
SMALL = (
    *("model.layers=1", "model.hidden_size=64", "model.head_size=8", "model.ffn_size=64", "task.sequence_length=32"),
    *("task.steps=8", "task.checkpoint.interval=4", "tracking.enabled=false", "env.set.OMP_NUM_THREADS=1"),
)


def only(folder: Path) -> Path:
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    return run


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # MLflow 3.17 with SQLAlchemy 2.1
@pytest.mark.parametrize("place", ["direct", pytest.param("slurm", marks=pytest.mark.slurm)])
def test_all_starts_of_a_job_are_one_mlflow_run_that_tells_of_them(
    primus: Primus, rank: Rank, work: Path, place: str, request: pytest.FixtureRequest
) -> None:
    from mlflow import MlflowClient

    where = ["ranks_per_node=2"]
    if place == "slurm":
        request.getfixturevalue("slurm")
        where = ["runtime=slurm", "runtime.nodes=2"]
    said = primus(*rank(KILLED_ONCE), PATIENT, "restart.max=3", "restart.backoff=0", *where)
    assert said.code == 0, said.err
    run = only(work / "outputs/default")
    announced = "rank 1 was ended by SIGKILL after step 2; start 2 of 4 in 0 s"
    assert f"primus: {announced}" in said.out
    assert f"run     outputs/default/{run.name}  (finished, after 1 restart)" in said.out
    assert announced in (run / "logs/launch.log").read_text()
    result = json.loads((run / "result.json").read_text())
    assert (result["status"], result["message"], result["restarts"]) == ("FINISHED", "after 1 restart", 1)
    record = json.loads((run / "record.json").read_text())
    assert record["complete"]
    client = MlflowClient(record["tracking_uri"])
    (recorded,) = client.search_runs([record["experiment_id"]])
    assert (recorded.info.status, recorded.data.tags["primus.restarts"]) == ("FINISHED", "1")
    history = {name: client.get_metric_history(record["run_id"], name) for name in ("restarts", "loss")}
    assert [(m.step, m.value) for m in history["restarts"]] == [(2, 1.0)]
    assert [m.step for m in history["loss"]] == [1, 2, 3, 4]
    assert "<dt>restarts</dt><dd>1, after: " in (run / "report.html").read_text()


def test_a_job_that_is_not_started_again_says_why(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*rank("raise SystemExit(5)"), "restart.max=1", "restart.backoff=0", "tracking.enabled=false")
    assert said.code == 1
    assert "(failed, after 1 restart)" in said.out
    result = json.loads((only(work / "outputs/default") / "result.json").read_text())
    assert result["message"] == (
        "rank 0 ended with exit code 5; restart.max=1 allows no further start (after 1 restart)"
    )


@pytest.mark.parametrize(
    ("word", "told"), [("restart.max=-1", "restart.max"), ("restart.backoff=soon", "restart.backoff")]
)
def test_a_setting_that_cannot_be_is_refused(primus: Primus, rank: Rank, word: str, told: str) -> None:
    said = primus(*rank(""), word)
    assert said.code == 2
    assert told in said.err


def test_a_benchmark_is_not_started_again(primus: Primus) -> None:
    said = primus("task=benchmark/gemm", "restart.max=5", "gpu=cpu", "dry_run=json")
    assert json.loads(said.out)["job"]["restarts"] == 0


@pytest.mark.torch
@pytest.mark.slow
def test_a_training_whose_rank_is_killed_goes_on_from_its_checkpoint_with_the_same_losses(
    start: Start, work: Path
) -> None:
    (work / "sitecustomize.py").write_text(KILLS)
    killed = start(*SMALL, "restart.max=1", "restart.backoff=0", f"env.set.PYTHONPATH={work}", "experiment.name=killed")
    whole = start(*SMALL, "experiment.name=whole")
    out, err = killed.communicate(timeout=2 * PATIENCE)
    assert killed.returncode == 0, out + err
    assert "SIGKILL after step 6; start 2 of 2 in 0 s, from the checkpoint of step 4" in out
    _, err = whole.communicate(timeout=2 * PATIENCE)
    assert whole.returncode == 0, err
    run, other = only(work / "outputs/killed"), only(work / "outputs/whole")
    lines, theirs = (
        [json.loads(line) for line in (path / "metrics/rank-0.jsonl").read_text().splitlines()] for path in (run, other)
    )
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8]
    assert [line["loss"] for line in lines] == [theirs[line["step"] - 1]["loss"] for line in lines]
    marks = [json.loads(line) for line in (run / "metrics/node-0.jsonl").read_text().splitlines()]
    assert [(line["step"], line["restarts"]) for line in marks if "restarts" in line] == [(4, 1)]
