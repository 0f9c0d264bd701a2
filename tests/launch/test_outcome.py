"""result.json: how a run ended, from what its nodes left."""

import json
from pathlib import Path
from typing import Any

import pytest

from primus.launch import outcome
from primus.node import rundir
from primus.node.plan import WORKERS


def run(directory: Path, *outcomes: dict[str, Any] | None, command: tuple[str, ...] = ("a.out",)) -> Path:
    """A run directory of a plan with one node for each outcome; None: the node left none."""
    rundir.write_json(directory / rundir.PLAN, {"job": {"nodes": len(outcomes), "command": command}})
    for node, said in enumerate(outcomes):
        if said is not None:
            rundir.write_json(directory / rundir.node_facts(node), {"host": f"gpu{node:02}", "outcome": said})
    return directory


def cause(rank: int, time: float) -> dict[str, Any]:
    return {"rank": rank, "exit_code": 3, "signal": None, "log": f"logs/node-0/rank-{rank}.log", "time": time}


def ended(status: str, message: str | None = None, root_cause: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"status": status, "exit_code": 7, "message": message, "root_cause": root_cause}


def test_a_run_is_finished_when_all_of_its_nodes_are(tmp_path: Path) -> None:
    result = outcome.write_result(run(tmp_path, ended("finished"), ended("finished")), 100.0, interrupted=False)
    assert (result["status"], result["exit_code"], result["message"], result["root_cause"]) == (
        "FINISHED",
        0,
        None,
        None,
    )
    assert result["started"] == 100.0
    assert json.loads((tmp_path / rundir.RESULT).read_text()) == result


def test_the_rank_that_failed_first_is_the_root_cause_whatever_its_node(tmp_path: Path) -> None:
    nodes = [ended("killed"), ended("failed", "rank 9 ended", cause(9, 20.0)), ended("failed", "late", cause(17, 21.0))]
    result = outcome.write_result(run(tmp_path, *nodes), 0.0, interrupted=False)
    assert (result["status"], result["exit_code"], result["message"]) == ("FAILED", 1, "rank 9 ended")
    assert result["root_cause"] == {**cause(9, 20.0), "node_rank": 1}


@pytest.mark.parametrize(
    ("statuses", "status", "exit_code"),
    [
        (("finished", "killed"), "KILLED", 130),
        (("killed", "failed"), "FAILED", 1),
        (("failed", "unfit"), "FAILED", 3),
    ],
)
def test_the_worst_node_decides(tmp_path: Path, statuses: tuple[str, ...], status: str, exit_code: int) -> None:
    result = outcome.write_result(run(tmp_path, *map(ended, statuses)), 0.0, interrupted=False)
    assert (result["status"], result["exit_code"]) == (status, exit_code)


def test_a_request_that_the_node_found_wrong_keeps_its_exit_code(tmp_path: Path) -> None:
    result = outcome.write_result(run(tmp_path, {**ended("unfit"), "exit_code": 2}), 0.0, interrupted=False)
    assert (result["status"], result["exit_code"]) == ("FAILED", 2)


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (2, 2), (3, 3), (7, 1)])
def test_a_worker_of_primus_that_refuses_keeps_its_exit_code(tmp_path: Path, code: int, expected: int) -> None:
    refusal = ended("failed", "rank 0 ended", cause(0, 1.0) | {"exit_code": code})
    directory = run(tmp_path, refusal, command=("python", WORKERS, "torchtitan"))
    assert outcome.write_result(directory, 0.0, interrupted=False)["exit_code"] == expected


def test_the_exit_code_of_a_users_program_says_only_that_the_job_failed(tmp_path: Path) -> None:
    failure = ended("failed", "rank 0 ended", cause(0, 1.0) | {"exit_code": 2})
    assert outcome.write_result(run(tmp_path, failure), 0.0, interrupted=False)["exit_code"] == 1


def test_no_diagnosis_of_unknown_stands_beside_a_refusal(tmp_path: Path) -> None:
    refusal = ended("failed", "rank 0 ended with exit code 2", cause(0, 1.0) | {"exit_code": 2})
    directory = run(tmp_path, refusal, command=("python", WORKERS, "torchtitan"))
    (directory / "logs/node-0").mkdir(parents=True)
    log = directory / cause(0, 1.0)["log"]
    log.write_text("primus: backend.args.x: there is no such option\n")
    assert "diagnosis" not in outcome.write_result(directory, 0.0, interrupted=False)
    log.write_text("OSError: [Errno 28] No space left on device\n")
    assert outcome.write_result(directory, 0.0, interrupted=False)["diagnosis"]["failure"] == "disk-full"


def test_a_node_that_left_nothing_is_named_and_fails_the_run(tmp_path: Path) -> None:
    directory = run(tmp_path, ended("finished"), None, None)
    rundir.write_json(directory / rundir.node_facts(2), {"host": "gpu02"})
    result = outcome.write_result(directory, 0.0, interrupted=False)
    assert (result["status"], result["exit_code"]) == ("FAILED", 1)
    assert result["message"].startswith("node 1, 2 (gpu02) left no outcome")


def test_the_clocks_of_nodes_may_differ(tmp_path: Path) -> None:
    directory = run(tmp_path, ended("failed", "first", cause(0, 20.0)), ended("failed", "second", cause(9, 90.0)))
    rundir.write_json(
        directory / rundir.node_facts(1),
        {"host": "gpu01", "clock_offset": -71.0, "outcome": ended("failed", "second", cause(9, 90.0))},
    )
    result = outcome.write_result(directory, 0.0, interrupted=False)
    assert (result["message"], result["root_cause"]["rank"]) == ("second", 9)


def test_a_lost_node_is_the_reason_and_no_rank_that_failed_of_it(tmp_path: Path) -> None:
    lost = {**ended("failed", "lost node 2 (gpu02): connection timed out"), "lost": ["node 2 (gpu02)"]}
    directory = run(tmp_path, lost, ended("failed", "rank 9: connection reset", cause(9, 1.0)), None)
    result = outcome.write_result(directory, 0.0, interrupted=False)
    assert (result["status"], result["exit_code"], result["root_cause"]) == ("FAILED", 1, None)
    assert result["message"] == "lost node 2 (gpu02): connection timed out"


def test_each_unfit_node_has_its_say_once(tmp_path: Path) -> None:
    nodes = [ended("unfit", "node 2 did not come"), ended("killed", "because"), ended("unfit", "cannot reach node 0")]
    result = outcome.write_result(run(tmp_path, *nodes, nodes[0]), 0.0, interrupted=False)
    assert result["message"] == "node 2 did not come; cannot reach node 0"


def test_an_interrupted_run_is_killed_whatever_its_nodes_say(tmp_path: Path) -> None:
    directory = run(tmp_path, ended("failed", "rank 0 ended with SIGTERM", cause(0, 1.0)))
    result = outcome.write_result(directory, 0.0, interrupted=True)
    assert (result["status"], result["exit_code"], result["message"]) == ("KILLED", 130, "interrupted")
    said = outcome.write_result(directory, 0.0, interrupted=True, message="the launcher was killed")
    assert said["message"] == "the launcher was killed"


def test_the_last_value_of_each_metric_comes_from_the_rank_that_knows_the_loss(tmp_path: Path) -> None:
    directory = run(tmp_path, ended("finished"))
    lines = [
        {"time": 1, "step": 1, "loss": 4.0, "lr": 0.1},
        {"time": 2, "step": 2, "loss": 3.0},
        {"time": 2.5, "eval": 1},
    ]
    rundir.write_text(directory / rundir.rank_metrics(0), '{"time": 1, "step": 9, "memory_peak": 7}\n')
    rundir.write_text(directory / rundir.rank_metrics(5), "".join(f"{json.dumps(line)}\n" for line in lines) + '{"ti')
    result = outcome.write_result(directory, 0.0, interrupted=False)
    assert (result["step"], result["metrics"]) == (2, {"loss": 3.0, "lr": 0.1, "eval": 1.0})


def test_a_run_without_metrics_has_no_step(tmp_path: Path) -> None:
    result = outcome.write_result(run(tmp_path, ended("finished")), 0.0, interrupted=False)
    assert (result["step"], result["metrics"]) == (None, {})
