"""Which rank was the cause."""

from dataclasses import replace

from primus.node.host import Memory
from primus.node.outcome import judge, rank_end


def end(rank, code, ended, sign=None, stopped=None, error=None):
    return rank_end(rank, 100 + rank, code, 0.0, ended, sign, stopped, f"logs/node-0/rank-{rank}.log", error)


def test_the_cause_is_the_rank_with_the_first_sign_not_the_first_end():
    outcome = judge([end(0, 1, 10.0), end(1, 2, 11.0, sign=9.0), end(2, 143, 11.5, stopped=11.0)], None, 0, False)
    assert (outcome.root_cause.rank, outcome.exit_code) == (1, 2)


def test_ranks_that_the_agent_ended_are_no_cause():
    outcome = judge([end(0, 143, 10.5, sign=1.0, stopped=10.1), end(1, 3, 10.0)], None, 0, False)
    assert outcome.root_cause.rank == 1


def test_a_rank_that_failed_just_before_it_was_told_to_end_may_be_the_cause():
    outcome = judge([end(0, 1, 10.0, stopped=10.2), end(1, 3, 10.1)], None, 0, False)
    assert outcome.root_cause.rank == 0


def test_a_job_ended_from_outside_has_no_cause():
    outcome = judge([end(0, 143, 10.0, stopped=9.0)], "ended by SIGTERM", 143, False)
    assert (outcome.status, outcome.exit_code, outcome.root_cause) == ("killed", 143, None)


def test_a_job_that_failed_before_it_was_ended_from_outside_failed():
    outcome = judge([end(0, 5, 8.0), end(1, 143, 10.0, stopped=8.1)], "ended by SIGTERM", 143, False)
    assert (outcome.status, outcome.exit_code) == ("failed", 5)


def test_a_rank_that_slurm_signals_together_with_the_agent_did_not_fail():
    outcome = judge([end(0, 143, 8.0)], "ended by SIGTERM", 143, False)
    assert outcome.status == "killed"


def test_a_rank_killed_while_memory_ran_out_says_so():
    assert judge([end(0, 137, 8.0)], None, 0, True).message == "rank 0 was ended by SIGKILL: the host ran out of memory"
    assert judge([end(0, 137, 8.0)], None, 0, False).message == "rank 0 was ended by SIGKILL"


def test_it_says_how_much_memory_there_was():
    gib = 1 << 30
    ended = replace(end(0, 137, 8.0), memory_peak=3 * gib)
    outcome = judge([ended], None, 0, True, Memory(64 * gib, 40 * gib, 4 * gib, 4 * gib))
    assert outcome.message == (
        "rank 0 was ended by SIGKILL: the host ran out of memory (the rank had used 3.0 GiB; "
        "its cgroup allows 4.0 GiB, of which 4.0 GiB were used at most; "
        "the host has 64.0 GiB, 40.0 GiB of it available now)"
    )
    assert outcome.memory == Memory(64 * gib, 40 * gib, 4 * gib, 4 * gib)
