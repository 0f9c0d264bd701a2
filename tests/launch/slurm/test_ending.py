"""What is said of a job that left no result."""

import pytest

from primus.launch.slurm.controller import State
from primus.launch.slurm.ending import truth


@pytest.mark.parametrize(
    ("state", "killed", "said"),
    [
        (State("CANCELLED", "", 0, ""), True, "Slurm ended job 7 before it started: it was cancelled"),
        (State("NODE_FAIL", "NodeDown", 0, "c[1-2]"), False, "Slurm ended job 7 on c[1-2]: a node failed (NodeDown)"),
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
