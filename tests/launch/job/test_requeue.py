"""When a job goes back into the queue, and when never."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from primus.launch.job import agents
from primus.launch.job.requeue import Report, Told, node_lost, reading, reason, used_up
from primus.node.plan import Code, Job, Plan

REQUEUE = {"requeue": True, "max_restarts": 3}
STOPPED = Report("FINISHED", "", 40, lost=False, asked_to_stop=True, told_to_end=False)


def test_a_job_that_stopped_on_request_goes_on() -> None:
    assert reason(STOPPED, REQUEUE, 0, 100) == "stopped on request at step 40"


def test_a_job_without_steps_that_stopped_on_request_goes_on() -> None:
    assert reason(replace(STOPPED, step=None), REQUEUE, 0, None) == "stopped on request"


def test_preemption_and_a_lost_node_do_likewise() -> None:
    assert "preempted" in str(reason(replace(STOPPED, status="KILLED"), REQUEUE, 0, 100))
    lost = replace(STOPPED, status="FAILED", lost=True, asked_to_stop=False, message="lost node 1 (c2)")
    assert reason(lost, REQUEUE, 0, 100) == "lost node 1 (c2)"


@pytest.mark.parametrize(
    ("report", "settings", "restart"),
    [
        (STOPPED, {"requeue": False, "max_restarts": 3}, 0),
        (STOPPED, REQUEUE, 3),
        (replace(STOPPED, step=100), REQUEUE, 0),
        (replace(STOPPED, asked_to_stop=False), REQUEUE, 0),
        (replace(STOPPED, status="FAILED"), REQUEUE, 0),
        (replace(STOPPED, status="KILLED", told_to_end=True), REQUEUE, 0),
    ],
    ids=["not wanted", "too often", "all steps done", "ended by itself", "a rank failed", "cancelled"],
)
def test_any_other_job_is_over(report: Report, settings: dict[str, Any], restart: int) -> None:
    assert reason(report, settings, restart, 100) is None


def test_a_job_that_would_go_on_but_may_not_says_so() -> None:
    assert (
        used_up(STOPPED, REQUEUE, 3, 100)
        == "stopped on request at step 40; runtime.max_restarts=3 allows no further start"
    )
    assert used_up(STOPPED, REQUEUE, 2, 100) == ""
    assert used_up(replace(STOPPED, step=100), REQUEUE, 3, 100) == ""
    assert used_up(STOPPED, {"requeue": False, "max_restarts": 0}, 0, 100) == ""


def outcomes(directory: Path, *found: dict[str, Any] | None) -> Path:
    (directory / "nodes").mkdir()
    for node, outcome in enumerate(found):
        (directory / f"nodes/{node}.json").write_text(json.dumps({"outcome": outcome} if outcome else {}))
    return directory


def test_a_node_is_lost_when_another_missed_it(tmp_path: Path) -> None:
    assert node_lost(outcomes(tmp_path, {"status": "failed", "lost": ["c2"]}), 2, told_to_end=True)


def test_a_node_that_said_nothing_is_lost_unless_slurm_was_ending_all(tmp_path: Path) -> None:
    run = outcomes(tmp_path, {"status": "failed"}, None)
    assert node_lost(run, 2, told_to_end=False)
    assert not node_lost(run, 2, told_to_end=True)


def test_why_slurm_ends_a_job_is_read_from_its_own_words() -> None:
    assert reading({"PreemptTime": "2026-11-21T10:00:00", "Requeue": "1"}) == Told("it was preempted", again=True)
    assert reading({"PreemptTime": "None", "TimeLimit": "00:01:00", "RunTime": "00:01:02"}) == Told(
        "its time limit of 1 minutes was reached", limit=True
    )
    assert reading({"TimeLimit": "UNLIMITED", "RunTime": "00:01:02"}) == Told("it was cancelled")
    assert reading({}) == Told("it was cancelled")


def plan(nodes: int) -> Plan:
    job = Job(nodes, 1, ("true",), "/", "cpu", {}, "0", 10, 0)
    return Plan(1, "1", "/run", "command", "", {}, (), Code("/", None), job, (), (), ())


def test_srun_starts_the_agents_of_several_nodes_and_of_one_that_is_to_notice_preemption() -> None:
    assert agents.by_srun(plan(2), watched=False)
    assert agents.by_srun(plan(1), watched=True)
    assert not agents.by_srun(plan(1), watched=False)


def test_the_agents_get_the_jobs_cores_and_end_each_for_itself() -> None:
    argv = agents.step(plan(2), Path("/run"), {"SLURM_CPUS_PER_TASK": "32"})
    assert {"--nodes=2", "--ntasks-per-node=1", "--kill-on-bad-exit=0", "--wait=0", "--cpus-per-task=32"} <= set(argv)
    assert argv[-4:] == ("--plan", "/run/plan.json", "--node-rank", "slurm")
