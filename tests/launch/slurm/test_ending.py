"""What is said of a job that left no result."""

import json
from pathlib import Path

import pytest

from primus.launch.slurm.controller import State
from primus.launch.slurm.ending import truth, write_result


@pytest.mark.parametrize(
    ("state", "killed", "said"),
    [
        (State("CANCELLED", "JobHeldUser", 0, ""), True, "Slurm ended job 7 before it started: it was cancelled"),
        (State("NODE_FAIL", "NodeDown", 0, "c[1-2]"), False, "Slurm ended job 7 on c[1-2]: a node failed"),
        (State("TIMEOUT", "TimeLimit", 0, "c1"), True, "its time limit was reached"),
        (State("OUT_OF_MEMORY", "", 0, "c1"), False, "more memory than it had asked for (runtime.mem)"),
        (
            State("FAILED", "NonZeroExitCode", 127, "c1"),
            False,
            "is FAILED on c1, exit code 127: its first process never",
        ),
        (None, False, "Slurm knows nothing of job 7 any more"),
    ],
)
def test_the_truth_is_slurms_word_the_nodes_and_the_reason(state: State | None, killed: bool, said: str) -> None:
    told_killed, words = truth("7", state, began=False)
    assert told_killed == killed
    assert said in words


def test_a_first_process_that_had_begun_is_told_from_one_that_never_did() -> None:
    assert "ended before it had written the result" in truth("7", State("FAILED", "", 1, "c1"), began=True)[1]


def test_outcomes_of_an_earlier_start_do_not_make_a_job_finished(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/0.json").write_text(json.dumps({"outcome": {"status": "finished", "exit_code": 0}}))
    (tmp_path / "plan.json").write_text(json.dumps({"job": {"nodes": 1}}))
    assert write_result(tmp_path, "7", State("FAILED", "", 1, "c1"))["status"] == "FAILED"
    assert write_result(tmp_path, "7", State("COMPLETED", "", 0, "c1"))["status"] == "FINISHED"
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "FINISHED"
