"""Several jobs of a sweep in one element of its array."""

import json
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENT, Primus, Rank
from ..sweep.test_sweep import JOB, OFF, results, sweep_directory
from .following import soon
from .test_sweep import ON, array_of, drained

__all__ = ["sweep_directory"]  # the fixture

pytestmark = pytest.mark.slurm

WAITS = "import os, time; print('job', os.environ['A'], flush=True); time.sleep(0 if os.environ['A'] == '0' else 600)"


def message(directory: Path, index: int) -> str:
    return str(json.loads((directory / str(index) / "result.json").read_text())["message"])


def test_they_run_one_after_another_each_with_its_own_log_and_result(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    words = (*ON, *rank(JOB), PATIENT, "runtime.jobs_per_element=3", "env.set.A=0,1,2,3", "env.set.FAIL=1")
    said = primus(*words)
    directory = sweep_directory()
    assert said.code == 1
    assert results(directory) == {"0": "FINISHED", "1": "FAILED", "2": "FINISHED", "3": "FINISHED"}
    array = array_of(directory)
    assert slurm.wait(f"{array}_0", "FAILED")["ExitCode"] == "1:0"  # the command ends with the results, a little before
    slurm.wait(f"{array}_1", "COMPLETED")
    logs = [(directory / str(index) / "logs" / "job.log").read_text() for index in range(4)]
    assert ["no luck" in log for log in logs] == [False, True, False, False]
    records = [json.loads((directory / str(index) / "record.json").read_text()) for index in range(4)]
    assert len({record["run_id"] for record in records}) == 4
    assert all(record["complete"] for record in records)


def test_one_that_waits_behind_another_is_cancelled_alone_and_the_others_go_on(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    words = (*ON, *rank(WAITS), OFF, "runtime.jobs_per_element=4", "env.set.A=0,1,2,3", "runtime.detach=true")
    assert primus(*words).code == 0
    directory = sweep_directory()
    assert soon(lambda: [log for log in directory.glob("1/logs/job.log") if "job 1" in log.read_text()])
    told = json.loads(primus("task=status", "task.format=json", f"run={directory}").out)
    assert [job["state"] for job in told["jobs"]] == ["FINISHED", "RUNNING", "PENDING", "PENDING"]
    assert primus("task=cancel", f"run={directory}/2").code == 0
    assert message(directory, 2) == "cancelled"
    element = f"{array_of(directory)}_0"
    refused = primus("task=cancel", f"run={directory}/1")
    assert (refused.code, "as do jobs 0, 2, 3 after one another" in refused.err) == (2, True)
    slurm.ask("scancel", element)
    drained(slurm, directory, 1)
    assert results(directory) == {"0": "FINISHED", "1": "KILLED", "2": "KILLED", "3": "KILLED"}
    assert message(directory, 1) == f"Slurm ended job {element}: it was cancelled"
    assert message(directory, 3) == f"job {element} of Slurm ended before it came to this one"


def test_what_failed_is_run_again_in_elements_of_its_own(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any, work: Path
) -> None:
    text = "import os, sys; sys.exit(os.path.exists(os.environ['FLAG']) and os.environ['A'] in '13')"
    words = (*ON, *rank(text), OFF, "runtime.jobs_per_element=2", "env.set.A=0,1,2,3", f"env.set.FLAG={work}/flag")
    (work / "flag").touch()
    assert primus(*words).code == 1
    (work / "flag").unlink()
    assert primus(*words, "sweep.resume=true").code == 0
    directory = sweep_directory()
    assert "--array=0\n" in (directory / "job.sbatch").read_text()
    assert [(directory / job / "handle.json").read_text().count('"array_index": 0') for job in "13"] == [1, 1]
    assert (directory / "elements/0.log").resolve() == directory / "1/logs/job.log"
    slurm.wait(f"{array_of(directory)}_0", "COMPLETED")


def test_what_slurm_prints_of_an_element_is_in_the_log_of_its_first_job(
    slurm: Slurm, primus: Primus, rank: Rank, sweep_directory: Any
) -> None:
    words = (*ON, *rank("pass"), OFF, "runtime.jobs_per_element=2", "env.set.A=0,1,2,3")
    said = primus(*words, "runtime.setup=[[sh,-c,'echo no luck; exit 3']]")
    assert said.code == 1
    directory = sweep_directory()
    logs = [directory / str(job) / "logs/job.log" for job in range(4)]
    assert [log.is_file() and log.read_text() for log in logs] == ["no luck\n", False, "no luck\n", False]
    assert f"Slurm job {array_of(directory)}_1 is FAILED" in message(directory, 3)
