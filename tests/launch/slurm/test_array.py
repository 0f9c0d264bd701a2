"""What the jobs of one array have in common, and how its indices are written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus.launch.problems import BadRequest
from primus.launch.slurm import array
from primus.launch.slurm.options import Settings
from primus.node.plan import Plan

from ..test_planning import plan


def job(**runtime: Any) -> Plan:
    made = plan("task=command", "task.command=x")
    return replace(made, config={**made.config, "runtime": {"name": "slurm", "nodes": 1, "time": None, **runtime}})


def refusal(plans: list[Plan], secrets: list[dict[str, str]]) -> str:
    with pytest.raises(BadRequest) as refused:
        array.common(plans, secrets)
    return str(refused.value)


def test_jobs_that_are_alike_to_sbatch_are_one_array() -> None:
    array.common([job(), job()], [{"TOKEN": "a"}, {"TOKEN": "a"}])


def test_jobs_that_are_not_are_refused_with_the_key() -> None:
    assert refusal([job(nodes=1), job(nodes=2), job(nodes=1)], [{}, {}, {}]) == (
        "runtime.nodes: a sweep on Slurm is one job array, for all of whose jobs sbatch is told the same, not 1, 2. "
        "Give a sweep for each value of runtime.nodes"
    )


def test_secrets_that_differ_are_refused_without_their_values() -> None:
    said = refusal([job(), job()], [{"HF_TOKEN": "hf_one"}, {"HF_TOKEN": "hf_two"}])
    assert said.startswith("env.set.HF_TOKEN: ")
    assert "hf_" not in said


def test_the_script_is_that_of_a_job_with_indices() -> None:
    text = array.script_of(
        Settings("slurm", 1, array_parallelism=4), Path("/runs/s"), ("python", "first"), [0, 1, 2, 7]
    )
    assert "#SBATCH --array=0-2,7%4\n" in text
    assert "#SBATCH --chdir=/runs/s\n#SBATCH --output=/runs/s/%a/logs/job.log\n" in text
    assert text.endswith("exec python first --array\n")


def test_an_element_may_run_several_jobs_and_has_the_number_of_the_first() -> None:
    settings = Settings("slurm", 1, array_parallelism=4, jobs_per_element=3)
    text = array.script_of(settings, Path("/runs/s"), ("python", "first"), [0, 1, 2, 7, 9])
    assert "#SBATCH --array=0,7%4\n" in text
    assert text.endswith("exec python first --array --jobs 0-2,7,9 --each 3\n")
    assert array.places([0, 1, 2, 7, 9], 3) == {0: 0, 1: 0, 2: 0, 7: 7, 9: 7}


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_are_read_back(indices: set[int]) -> None:
    assert array.read(array.ranges(sorted(indices))) == sorted(indices)
