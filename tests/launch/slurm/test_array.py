"""What the jobs of one array have in common, and how its indices are written."""

from collections.abc import Sequence
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


def test_an_element_may_run_several_jobs_and_elements_are_counted_from_zero() -> None:
    settings = Settings("slurm", 1, array_parallelism=4, jobs_per_element=3)
    text = array.script_of(settings, Path("/runs/s"), ("python", "first"), [0, 1, 2, 7, 9])
    assert "#SBATCH --array=0-1%4\n" in text
    assert "#SBATCH --output=/runs/s/elements/%a.log\n" in text
    assert text.endswith("exec python first --array --jobs 0-2,7,9 --each 3\n")
    assert array.places([0, 1, 2, 7, 9], 3) == {0: 0, 1: 0, 2: 0, 7: 1, 9: 1}
    assert array.places([7, 9], 1) == {7: 7, 9: 9}


def test_what_slurm_prints_of_an_element_is_in_the_log_of_its_first_job(tmp_path: Path) -> None:
    for jobs in ([0, 1, 2, 3, 4], [1, 3, 4]):  # taken up again: other elements
        array.link_logs(tmp_path, jobs, 2)
    links = sorted((tmp_path / "elements").iterdir())
    assert [(link.name, str(link.readlink())) for link in links] == [
        ("0.log", "../1/logs/job.log"),
        ("1.log", "../4/logs/job.log"),
    ]


@pytest.mark.parametrize(
    ("jobs", "each", "needed"),
    [(range(1001), 1, 0), (range(5000), 10, 0), (range(1002), 1, 2), (range(5000), 4, 5), ([3, 4990], 1, 2)],
)
def test_a_sweep_is_as_long_as_the_arrays_of_its_cluster(jobs: Sequence[int], each: int, needed: int) -> None:
    if not needed:
        array.check_size(list(jobs), each, "1001")
        return
    with pytest.raises(BadRequest, match=rf"end at 1000 .* runtime\.jobs_per_element={needed} runs {needed} jobs"):
        array.check_size(list(jobs), each, "1001")


@pytest.mark.parametrize("unknown", ["", "0", "(null)"])
def test_where_it_is_not_known_how_long_they_are_slurm_decides(unknown: str) -> None:
    array.check_size(list(range(5000)), 1, unknown)


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_are_read_back(indices: set[int]) -> None:
    assert array.read(array.ranges(sorted(indices))) == sorted(indices)
