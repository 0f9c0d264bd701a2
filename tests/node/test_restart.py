"""Whether the ranks of a job start again, as node 0 decides it."""

import pytest

from primus.node.outcome import Outcome, RootCause
from primus.node.restart import NO_MORE, Part, Policy, Verdict, counted, repeatable


def failed(step: int | None = None, why: str = "rank 1 ended with exit code 5", time: float = 10.0) -> Part:
    return Part("failed", why, time, step, False)


FOLLOWED = Part("killed", "ended because of node 1", 11.0, None, False)
"""A node whose ranks were ended because another's had failed."""


def outcome(status: str, exit_code: int, signal: str | None = None, lost: tuple[str, ...] = ()) -> Outcome:
    cause = RootCause(0, exit_code, signal, "log", 1.0, None) if status == "failed" else None
    return Outcome(status, exit_code, "it failed", cause, (), lost)


def test_a_failure_is_followed_by_a_start_until_there_were_as_many_as_allowed() -> None:
    policy = Policy(2, 10.0, trains=True)
    assert policy.decide([failed(3)]) == Verdict(2, 10.0, "rank 1 ended with exit code 5 after step 3")
    assert policy.decide([failed(7)]) == Verdict(3, 20.0, "rank 1 ended with exit code 5 after step 7")
    assert policy.decide([failed(9)]) == Verdict(words="restart.max=2 allows no further start")


def test_the_wait_doubles_up_to_five_minutes() -> None:
    policy = Policy(9, 10.0, trains=True)
    assert [policy.decide([failed(n)]).seconds for n in range(8)] == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_job_that_may_start_thousands_of_times_is_no_overflow() -> None:
    policy = Policy(5000, 10.0, trains=True)
    assert {policy.decide([failed(n)]).seconds for n in range(2000)} == {10, 20, 40, 80, 160, 300}


def test_a_failure_at_the_same_step_twice_in_a_row_is_the_last() -> None:
    policy = Policy(9, 0.0, trains=True)
    assert policy.decide([failed(12)]).start == 2
    assert policy.decide([failed(14)]).start == 3
    words = "it failed after step 14 twice in a row, so it is not started again"
    assert policy.decide([failed(14)]) == Verdict(words=words)


def test_a_training_that_fails_before_its_first_step_twice_is_not_started_again() -> None:
    policy = Policy(9, 0.0, trains=True)
    assert policy.decide([failed()]).words == "rank 1 ended with exit code 5 before its first step"
    assert policy.decide([failed()]).words.startswith("it failed before its first step twice")


def test_a_program_that_tells_no_steps_is_started_as_often_as_allowed() -> None:
    policy = Policy(3, 0.0, trains=False)
    assert [policy.decide([failed()]).start for _ in range(4)] == [2, 3, 4, None]


def test_a_program_that_has_told_steps_once_is_measured_by_them_from_then_on() -> None:
    policy = Policy(9, 0.0, trains=False)
    assert [policy.decide([failed(step)]).start for step in (4, None, None)] == [2, 3, None]


def test_the_first_of_several_failures_is_told_and_the_furthest_step_counts() -> None:
    parts = [failed(12, "rank 5 timed out", 20.0), FOLLOWED, failed(11, "rank 9 was ended by SIGKILL", 19.0)]
    assert Policy(1, 0.0, trains=True).decide(parts).words == "rank 9 was ended by SIGKILL after step 12"


@pytest.mark.parametrize("status", ["killed", "unfit", "failed"])
def test_a_node_that_speaks_against_it_is_enough(status: str) -> None:
    assert Policy(9, 0.0, trains=True).decide([failed(3), Part(status, "", 5.0, None, final=True)]) == NO_MORE


def test_a_job_whose_ranks_all_end_well_is_over() -> None:
    assert Policy(9, 0.0, trains=True).decide([Part("finished", "", 5.0, 100, False)] * 2) == NO_MORE


@pytest.mark.parametrize(
    ("ended", "workers", "again"),
    [
        (outcome("failed", 1), True, True),
        (outcome("failed", 137, "SIGKILL"), True, True),
        (outcome("failed", 134, "SIGABRT"), True, True),
        (outcome("failed", 2), True, False),  # a configuration that a worker of Primus refuses
        (outcome("failed", 3), True, False),
        (outcome("failed", 2), False, True),  # of the user's programs the codes say nothing
        (outcome("failed", 143, "SIGTERM"), True, False),
        (outcome("failed", 1, lost=("node 1",)), True, False),
        (outcome("unfit", 3), True, False),
        (outcome("killed", 1), True, True),  # because of another node, which says whether
    ],
)
def test_what_another_start_cannot_mend_is_not_started_again(ended: Outcome, workers: bool, again: bool) -> None:
    assert repeatable(ended, workers) is again


def test_the_message_of_a_job_says_how_often_it_was_started_again() -> None:
    finished = Outcome("finished", 0, None, None, ())
    assert [counted(finished, n).message for n in (0, 1, 3)] == [None, "after 1 restart", "after 3 restarts"]
    assert counted(outcome("failed", 1), 2).message == "it failed (after 2 restarts)"
