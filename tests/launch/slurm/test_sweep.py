"""Sweeps on a real Slurm: one array, followed or left to itself, taken up again; it runs the code of its submission."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, PATIENT, Primus, Rank, Start
from ..sweep.test_sweep import JOB, OFF, results, status, sweep_directory
from ..test_place import git
from .following import STOPS, STUBBORN, soon

__all__ = ["sweep_directory"]  # the fixture

pytestmark = pytest.mark.slurm

ON = ("-m", "runtime=slurm")


def array_of(directory: Path) -> str:
    return str(json.loads((directory / "handle.json").read_text())["job_id"])


def drained(slurm: Slurm, directory: Path, count: int) -> None:
    for index in range(count):
        slurm.wait(f"{array_of(directory)}_{index}", "COMPLETED", "FAILED", "CANCELLED")


def test_a_sweep_is_one_array_and_goes_on_when_a_job_fails(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    said = primus(*ON, *rank(JOB), OFF, "env.set.A=3,2,5", "env.set.FAIL=2", "runtime.array_parallelism=2")
    directory = sweep_directory()
    assert said.code == 1
    assert results(directory) == {"0": "FINISHED", "1": "FAILED", "2": "FINISHED"}
    assert status(directory) == "FAILED"
    assert "job 1  failed    env.set.A=2\n" in said.out
    assert "best    loss 3.0000, job 0\n" in said.out
    assert "job 1:\nprimus: rank 0 on node 0 failed first: it ended with exit code 1." in said.err
    assert "no luck" in said.err
    told = slurm.wait(f"{array_of(directory)}_1", "FAILED")  # the command ends with the results, a little before
    assert (told["ExitCode"], told["ArrayTaskThrottle"]) == ("1:0", "2")


def test_what_failed_is_run_again_with_sweep_resume(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any, work: Path
) -> None:
    words = (*ON, *rank("import os, sys; sys.exit(os.path.exists(os.environ['FLAG']) and os.environ['A'] == '1')"), OFF)
    words = (*words, "env.set.A=0,1", f"env.set.FLAG={work}/flag")
    (work / "flag").touch()
    assert primus(*words).code == 1
    directory = sweep_directory()
    first = array_of(directory)
    (work / "flag").unlink()
    said = primus(*words, "sweep.resume=true")
    assert said.code == 0
    assert "job 0  done before" in said.out
    assert results(directory) == {"0": "FINISHED", "1": "FINISHED", "1.try-1": "FAILED"}
    assert array_of(directory) != first
    assert "--array=1\n" in (directory / "job.sbatch").read_text()


def test_batches_of_a_sweep_are_one_sweep(slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any) -> None:
    said = primus(*ON, *rank(JOB), OFF, "env.set.A=1,2,3", "hydra.sweeper.max_batch_size=2")
    assert said.code == 0, said.err
    assert results(sweep_directory()) == {"0": "FINISHED", "1": "FINISHED", "2": "FINISHED"}
    assert "job 2  finished" in said.out


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # MLflow 3.17 with SQLAlchemy 2.1
def test_the_record_is_a_parent_and_a_child_for_each_job(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    from mlflow import MlflowClient

    assert primus(*ON, *rank(JOB), PATIENT, "env.set.A=1,2").code == 0
    client = MlflowClient(f"sqlite:///{sweep_directory().parents[1]}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("default").experiment_id])
    (parent,) = (run for run in runs if run.data.tags.get("primus.task") == "sweep")
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert (len(runs), [run.info.status for run in runs]) == (3, ["FINISHED"] * 3)
    assert sorted(run.data.metrics["loss"] for run in children) == [1.0, 2.0]


def test_a_detached_sweep_leaves_all_it_takes_to_find_it(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    said = primus(*ON, *rank(JOB), "env.set.A=1,2", "runtime.detach=true")
    directory = sweep_directory()
    assert said.code == 0
    assert f"array   {array_of(directory)}  (2 jobs)\n" in said.out
    assert f"state   primus task=status run=outputs/default/{directory.name}\n" in said.out
    drained(slurm, directory, 2)
    assert results(directory) == {"0": "FINISHED", "1": "FINISHED"}
    assert status(directory) is None, "task=status closes it"
    assert not (directory / "record.json").exists()


def test_an_interrupt_cancels_what_runs_and_what_waits(
    slurm: Slurm, start: Start, rank: Rank, sweep_directory: Any
) -> None:
    words = (*rank("import time; time.sleep(600)"), OFF, "env.set.A=1,2,3", "runtime.array_parallelism=1")
    command = start(*ON, *words)
    assert command.stdout is not None
    for line in command.stdout:
        if "running" in line:
            break
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=PATIENCE)
    assert command.returncode == 130
    directory = sweep_directory()
    assert results(directory) == {"0": "KILLED", "1": "KILLED", "2": "KILLED"}
    assert status(directory) == "KILLED"
    drained(slurm, directory, 3)


def test_a_second_interrupt_ends_every_job_at_once(
    slurm: Slurm, start: Start, rank: Rank, sweep_directory: Any, work: Path
) -> None:
    text = STUBBORN.replace("os.environ['RANK']", "os.environ['A']")
    process = start(*ON, *rank(text), OFF, "env.set.A=0,1", "node.grace_period=600")
    soon(lambda: len([*work.glob("begun-*")]) == 2)
    process.send_signal(signal.SIGINT)
    soon(lambda: len([*work.glob("told-*")]) == 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    for job in (0, 1):
        assert "SIGKILL to rank 0" in (sweep_directory() / f"{job}/logs/node-0/agent.log").read_text()


@pytest.mark.slow
def test_a_job_of_a_sweep_goes_back_into_the_queue_alone(
    slurm: Slurm, start: Start, rank: Rank, sweep_directory: Any, work: Path
) -> None:
    process = start(*ON, *rank(STOPS), OFF, "env.set.A=0,1", "runtime.requeue=true")
    array = soon(lambda: next(iter(work.glob("outputs/default/*/handle.json")), None)) and array_of(sweep_directory())
    runs = [sweep_directory() / "0", sweep_directory() / "1"]
    soon(lambda: all((run / "metrics/rank-0.jsonl").exists() for run in runs))
    slurm.ask("scancel", "--batch", "--signal=USR1", f"{array}_1")
    soon(lambda: (runs[1] / "attempts/1").exists())
    slurm.ask("scancel", f"{array}_0")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert results(sweep_directory()) == {"0": "KILLED", "1": "FINISHED"}
    assert not (runs[0] / "attempts").exists()


def test_a_job_that_slurm_does_not_even_start_is_told_of(
    slurm: Slurm, start: Start, rank: Rank, sweep_directory: Any
) -> None:
    command = start(*ON, *rank("pass"), OFF, "env.set.A=1,2", "runtime.options={begin: now+600}")
    assert command.stdout is not None
    for line in command.stdout:
        if "2 jobs of array" in line and "wait in the queue (BeginTime)" in line:
            break
    slurm.ask("scancel", array_of(sweep_directory()))
    _, err = command.communicate(timeout=PATIENCE)
    assert command.returncode == 1
    assert "before it started: it was cancelled" in err


def test_a_sweep_that_is_still_in_the_queue_is_not_submitted_twice(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    words = (*ON, *rank("pass"), OFF, "env.set.A=1,2", "runtime.options={hold: true}")
    assert primus(*words, "runtime.detach=true").code == 0
    array = array_of(sweep_directory())
    said = primus(*words, "sweep.resume=true")
    assert said.code == 2
    assert f"sweep.resume: 2 jobs of array {array} are still in Slurm's hands" in said.err
    slurm.ask("scancel", array)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runtime.nodes=1,2",), "runtime.nodes: a sweep on Slurm is one job array"),
        (("runtime=direct,slurm",), "runtime: the jobs of a sweep run in one place, not in direct and slurm"),
        (("runtime.partition=nowhere", "env.set.A=1,2"), "runtime.partition: 'nowhere' is not among"),
        (("runtime.options={licenses: unknown}", "env.set.A=1,2"), "sbatch refuses the job"),
    ],
)
def test_what_cannot_be_queued_is_refused_and_leaves_nothing(
    slurm: Slurm, primus: Primus, rank: Rank, work: Path, words: tuple[str, ...], said: str
) -> None:
    ended = primus(*ON, *rank("pass"), OFF, *words)
    assert ended.code == 2
    assert said in ended.err
    assert not list((work / "outputs").glob("default/*"))


def test_a_dry_run_shows_the_script_of_the_array_and_asks_no_cluster(
    primus: Primus, rank: Rank, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    said = primus(*ON, *rank("pass"), OFF, "env.set.A=1,2", "dry_run=true")
    assert (said.code, said.err) == (0, "")
    script = said.out[said.out.rindex("#!/bin/bash") :]
    assert "#SBATCH --array=0-1\n" in script
    assert not (work / "outputs").exists()
    refused = primus(*ON, *rank("pass"), OFF, "runtime.nodes=1,2", "dry_run=true")
    assert (refused.code, "runtime.nodes: a sweep on Slurm is one job array" in refused.err) == (2, True)


def test_a_queued_job_is_what_it_was_at_its_submission(
    slurm: Slurm, primus: Primus, start: Start, work: Path, tmp_path: Path, rank: Rank, sweep_directory: Any
) -> None:
    """Config, source and Primus itself are changed while the jobs are held."""
    copy = tmp_path / "copy"
    for name in ("primus", "hydra_plugins", "conf"):
        shutil.copytree(Path(__file__).parents[3] / name, copy / name)
    words = rank("import helper; print('it is', helper.WORD, flush=True)")
    words = ("task=command", words[1].replace(",-I,", ","), *words[2:])
    git(work, "init", "-q")
    (work / "helper.py").write_text("WORD = 'submitted'")
    (work / ".gitignore").write_text("outputs/\n")
    git(work, "add", ".")
    git(work, "commit", "-qm", "x")
    (work / "helper.py").write_text("WORD = 'changed before'")
    command = start(*ON, *words, OFF, "env.set.A=1,2", "runtime.options={hold: true}", "runtime.detach=true",
                    PYTHONPATH=str(copy))  # fmt: skip
    out, err = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, out + err
    directory = sweep_directory()
    (work / "helper.py").write_text("WORD = 'changed since'")
    (work / "rank.py").write_text("raise SystemExit('changed since')")
    for path in (*(copy / "primus").rglob("*.py"), *(copy / "conf").rglob("*.yaml")):
        path.write_text("raise SystemExit('changed since')")
    slurm.ask("scontrol", "release", array_of(directory))
    drained(slurm, directory, 2)
    assert results(directory) == {"0": "FINISHED", "1": "FINISHED"}
    for index in range(2):
        assert "it is changed before" in (directory / f"{index}/logs/node-0/rank-0.log").read_text()


def test_with_frozen_false_the_source_is_that_of_the_start(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any, work: Path
) -> None:
    words = (*ON, *rank("print('submitted')"), OFF, "env.set.A=1", "runtime.frozen=false", "runtime.detach=true")
    assert primus(*words, "runtime.options={hold: true}").code == 0
    (work / "rank.py").write_text("print('changed since')")
    directory = sweep_directory()
    slurm.ask("scontrol", "release", array_of(directory))
    drained(slurm, directory, 1)
    assert "changed since" in (directory / "0/logs/node-0/rank-0.log").read_text()
    assert not (directory / "code/source").exists()
