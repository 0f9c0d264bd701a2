"""The node that runs the batch script is lost, on a cluster that itself notices that after five minutes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, PATIENT, Rank, Start
from .following import STOPS, job_of, read, soon, the_run

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
TWO = ("runtime=slurm", "runtime.nodes=2", "node.lost_after=3")


def begun(work: Path) -> tuple[str, Path]:
    """The job, and the directory of the run, once both of its ranks are at work."""
    job = job_of(work)
    run = the_run(work)
    soon(lambda: (run / "metrics/rank-0.jsonl").exists() and (run / "metrics/rank-1.jsonl").exists())
    return job, run


def told(process: "subprocess.Popen[str]") -> tuple[str, str]:
    return process.communicate(timeout=PATIENCE)


def test_a_survivor_ends_the_job_when_the_first_node_is_cut_off(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(*TWO, *rank(STOPS), "tracking.enabled=false")
    job, run = begun(work)
    with slurm.cut_off(slurm.nodes[0]):
        _, err = told(process)
        slurm.wait(job, "COMPLETING")
    assert process.returncode == 1
    assert f"lost the connection to node 0 ({slurm.nodes[0]})" in err
    result = read(run / "result.json")
    assert (result["status"], result["survivor"]) == ("FAILED", 1)
    slurm.wait(job, "CANCELLED")


@pytest.mark.mlflow
def test_a_survivor_ends_the_job_when_the_first_node_is_killed(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(*TWO, *rank(STOPS), PATIENT)
    job, run = begun(work)
    soon(lambda: read(run / "record.json").get("run_id") if (run / "record.json").exists() else None)
    slurm.lose(slurm.nodes[0])
    try:
        out, err = told(process)
        slurm.wait(job, "COMPLETING")
    finally:
        slurm.mend(slurm.nodes[0])
    assert process.returncode == 1, out + err
    assert f"lost the connection to node 0 ({slurm.nodes[0]})" in err
    assert read(run / "result.json")["status"] == "FAILED"
    assert read(run / "record.json")["complete"]
    slurm.wait(job, "CANCELLED")


@pytest.mark.mlflow
def test_a_survivor_has_the_job_requeued_and_it_goes_on_in_its_record(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(*TWO, *rank(STOPS), PATIENT, "runtime.requeue=true", "runtime.max_restarts=1")
    job, run = begun(work)
    record = soon(lambda: read(run / "record.json").get("run_id") if (run / "record.json").exists() else None)
    slurm.lose(slurm.nodes[0])
    try:
        soon(lambda: slurm.job(job)["Restarts"] == "1")
    finally:
        slurm.mend(slurm.nodes[0])
    out, err = told(process)
    assert process.returncode == 0, out + err
    assert read(run / "result.json")["status"] == "FINISHED"
    assert read(run / "record.json")["run_id"] == record
    assert read(run / "record.json")["complete"]
    earlier: dict[str, Any] = json.loads((run / "attempts/1/nodes/1.json").read_text())
    assert f"node 0 ({slurm.nodes[0]})" in earlier["outcome"]["lost"]
    assert os.listdir(run / "attempts") == ["1"]
