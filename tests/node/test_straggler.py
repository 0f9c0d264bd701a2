"""Who holds up a job, by what each rank is in."""

from typing import Any

from primus.node.straggler import Report, Verdict, judge

STEP = {"what": "all_reduce", "where": "train_step, train.py:6", "waits": True}


def rank(number: int, node: int = 0, **what: Any) -> Report:
    return Report(number, node, **{"step": 12, **what})


def test_a_rank_that_is_stopped_holds_up_those_that_wait_for_it() -> None:
    verdict = judge([rank(0, **STEP), rank(1, state="stopped (SIGSTOP)", **STEP), rank(2, 1, **STEP)], [], 60)
    assert verdict == Verdict(
        "no rank made progress for 60 s after step 12: ranks 0 and 2 wait in all_reduce (train_step, train.py:6); "
        "rank 1 on node 0 is stopped (SIGSTOP)",
        1,
        0,
    )


def test_a_rank_that_is_in_no_collective_is_the_one_that_is_missing() -> None:
    verdict = judge([*(rank(n, **STEP) for n in range(3)), rank(3, 1, what="load", where="data.py:7")], [], 60)
    assert verdict.rank == 3
    assert verdict.message.endswith("ranks 0, 1 and 2 wait in all_reduce (train_step, train.py:6); "
                                    "rank 3 on node 1 is in load (data.py:7)")  # fmt: skip


def test_a_rank_that_has_ended_is_missing_too() -> None:
    verdict = judge([rank(0, state="ended with exit code 0"), rank(1, **STEP)], [], 60)
    assert (verdict.rank, verdict.node) == (0, 0)
    assert verdict.message.endswith("(train_step, train.py:6); rank 0 on node 0 ended with exit code 0")


def test_one_that_still_lives_comes_before_one_that_has_ended() -> None:
    verdict = judge([rank(0, state="ended with exit code 0"), rank(1, state="stopped (SIGSTOP)")], [], 60)
    assert verdict.rank == 1


def test_a_collective_that_few_are_in_is_not_the_one_that_most_are_in() -> None:
    other = {**STEP, "what": "barrier"}
    assert judge([rank(0, **other), *(rank(n, **STEP) for n in (1, 2, 3))], [], 60).rank == 0


def test_where_all_wait_in_the_same_no_rank_is_blamed() -> None:
    verdict = judge([rank(n, **STEP) for n in range(4)], [], 60)
    assert verdict.rank is None
    assert verdict.message.endswith("all 4 ranks wait in all_reduce (train_step, train.py:6)")


def test_where_half_are_here_and_half_are_there_no_rank_is_blamed() -> None:
    halves = [rank(n, **STEP) for n in (0, 1)] + [rank(n, **{**STEP, "what": "barrier"}) for n in (2, 3)]
    assert judge(halves, [], 60).rank is None


def test_before_the_first_step_the_heartbeats_say_how_far_they_came() -> None:
    verdict = judge([rank(0, step=None, phase="building the model", what="load")], [], 60)
    assert verdict.message == (
        "no rank made progress for 60 s (before the first step: building the model): rank 0 on node 0 is in load"
    )


def test_a_node_that_does_not_answer_is_named() -> None:
    assert judge([rank(0, **STEP)], ["node 1 (b)"], 60).message.endswith("; node 1 (b) did not answer")


def test_of_many_ranks_the_first_few_are_named() -> None:
    verdict = judge([*(rank(n, **STEP) for n in range(512)), rank(512, state="stopped (SIGSTOP)")], [], 60)
    assert "512 ranks (0, 1, 2, 3, 4, 5, 6, 7, …) wait in all_reduce" in verdict.message
