"""The state of a run, asked from another shell."""

import json
from pathlib import Path

import pytest

from primus.launch import handle
from primus.launch.slurm import controller

from ...conftest import Primus, Rank, Start, gone
from ..record.run_directories import make_run
from .waiting import begin

OFF = "tracking.enabled=false"


def test_a_run_that_ended_says_how_and_where(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank("raise RuntimeError('no luck')"), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=status", f"run={run.name}")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0] == f"run     outputs/default/{run.name}  (failed)"
    assert lines[1] == "why     rank 0 ended with exit code 1: RuntimeError: no luck"
    assert "primus: rank 0 on node 0 failed first: it ended with exit code 1." in lines
    assert "  RuntimeError: no luck" in lines


def test_a_run_that_runs_says_so_and_a_dry_run_looks_without_touching(start: Start, rank: Rank, work: Path) -> None:
    launcher, run, _ = begin(start, rank, work)
    out, err = start("task=status", f"run={run.name}").communicate()
    assert not err
    assert out.startswith(f"run     outputs/default/{run.name}  (running)\n")
    assert f"cancel  primus task=cancel run=outputs/default/{run.name}\n" in out
    out, _ = start("task=status", f"run={run.name}", "dry_run=true").communicate()
    assert out == f"say what state {run} is in, and complete its record where that is wanting\n"
    (work / "go").touch()
    assert launcher.wait() == 0


def test_the_state_is_to_be_had_as_json(primus: Primus, rank: Rank, work: Path) -> None:
    text = """
import json, os
open(os.environ["PRIMUS_METRICS"], "w").write(json.dumps({"time": 1.0, "step": 2, "loss": 1.5}) + "\\n")
"""
    primus(*rank(text), OFF)
    (run,) = (work / "outputs/default").iterdir()
    told = json.loads(primus("task=status", f"run={run}", "task.format=json").out)
    assert (told["run"], told["state"], told["exit_code"], told["step"]) == (run.name, "FINISHED", 0, 2)
    assert (told["metrics"], told["directory"], told["job_id"]) == ({"loss": 1.5}, str(run), None)


@pytest.mark.parametrize("word", ["task=status", "task=logs", "task=cancel", "task=stacks"])
def test_a_run_must_be_named(primus: Primus, word: str) -> None:
    said = primus(word)
    assert said.code == 2
    assert f"{word} needs a run: run=<run directory, run id or Slurm job id>" in said.err


def test_a_run_whose_launcher_was_killed_gets_its_result(start: Start, rank: Rank, work: Path, primus: Primus) -> None:
    launcher, run, pids = begin(start, rank, work)
    launcher.kill()
    launcher.wait()
    assert all(gone(pid) for pid in pids)
    while not (told := json.loads(primus("task=status", f"run={run}", "task.format=json").out))["exit_code"]:
        assert told["state"] in ("RUNNING", "LOST")  # its agent is ending
    assert (told["state"], told["exit_code"]) == ("KILLED", 130)
    assert json.loads((run / "result.json").read_text())["status"] == "KILLED"


def test_a_sweep_counts_its_jobs_and_names_each(primus: Primus, rank: Rank, work: Path) -> None:
    text = "import os, sys; sys.exit(int(os.environ['CODE']))"
    assert primus("-m", *rank(text), OFF, "env.set.CODE=0,3").code == 1
    (sweep,) = (work / "outputs/default").iterdir()
    said = primus("task=status", f"run={sweep.name}")
    lines = said.out.splitlines()
    assert lines[0] == f"run     outputs/default/{sweep.name}  (failed)"
    assert lines[1] == "jobs    2 jobs: 1 failed, 1 finished"
    assert [line.split()[:2] for line in lines[-2:]] == [["0", "finished"], ["1", "failed"]]
    assert primus("task=status", f"run={sweep.name}/1").out.startswith(f"run     outputs/default/{sweep.name}/1  (fail")


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_record_that_was_not_completed_is_completed(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*rank(""), "tracking.wait=0")
    assert said.code == 0
    (run,) = (work / "outputs/default").iterdir()
    (run / "record.json").unlink(missing_ok=True)
    while "being recorded by another process" in (out := primus("task=status", f"run={run.name}").out):
        pass
    assert "record  MLflow run " in out
    assert json.loads((run / "record.json").read_text())["complete"]


def test_a_job_of_another_cluster_gets_no_result_from_here(
    primus: Primus, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = work / "outputs/default/20261121-093012-4f2a9c"
    make_run(run)
    handle.write(run, handle.ours("slurm", "77", cluster="alpha"))
    monkeypatch.setattr(controller, "cluster", lambda: "beta")
    monkeypatch.setattr(controller, "states", lambda asked: {})
    said = primus("task=status", f"run={run.name}", OFF)
    assert (said.code, said.err) == (0, "")
    assert "(unknown)\nwhy     its Slurm cluster alpha alone can tell of it: this one is beta\n" in said.out
    assert not (run / "result.json").exists()
