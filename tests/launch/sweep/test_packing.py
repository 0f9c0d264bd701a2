"""Jobs get devices and cores of their own, and no more than there is."""

import pytest

from primus.launch.problems import BadRequest
from primus.launch.sweep.packing import Placement, Pool
from primus.node.plan import Job

GPUS = ("0", "1", "2", "3")
CORES = (0, 1, 2, 3, 4, 5, 6, 7)


def job(ranks: int | None = None, **parallel: int) -> Job:
    return Job(1, ranks, ("x",), "/", "auto", parallel, "0", 1.0, 0.0)


def taken(pool: Pool, *jobs: Job) -> list[Placement | None]:
    return [pool.take(one) for one in jobs]


def test_each_job_gets_a_gpu_for_each_of_its_ranks_and_its_share_of_the_cores() -> None:
    pool = Pool(GPUS, CORES, "auto")
    assert taken(pool, job(2), job(1), job(1)) == [
        Placement(("0", "1"), (0, 1, 2, 3)),
        Placement(("2",), (4, 5)),
        Placement(("3",), (6, 7)),
    ]


def test_a_job_waits_until_what_it_needs_is_given_back() -> None:
    pool = Pool(GPUS, CORES, "auto")
    first = pool.take(job(3))
    assert first
    assert pool.take(job(2)) is None
    pool.give_back(first)
    assert pool.take(job(2)) == Placement(("0", "1"), (0, 1, 2, 3))


def test_a_job_that_does_not_say_how_many_ranks_has_as_few_as_its_parallelism_needs() -> None:
    assert Pool(GPUS, CORES, "auto").take(job(None, tensor=2, replicate=1)) == Placement(("0", "1"), (0, 1, 2, 3))
    assert Pool(GPUS, CORES, "auto").take(job()) == Placement(("0",), (0, 1))


def test_a_job_that_wants_more_than_there_is_gets_everything_alone() -> None:
    pool = Pool(GPUS, CORES, "auto")
    assert pool.take(job(16)) == Placement(GPUS, CORES)
    assert pool.take(job(1)) is None


def test_without_a_gpu_each_rank_gets_a_core() -> None:
    pool = Pool((), (0, 1, 2), "auto")
    assert taken(pool, job(2), job(1), job(1)) == [Placement((), (0, 1)), Placement((), (2,)), None]
    assert Pool((), (0, 1), "auto").take(job(4)) == Placement((), (0, 1))


def test_a_number_of_jobs_shares_the_machine_evenly() -> None:
    pool = Pool(GPUS, CORES, 2)
    assert taken(pool, job(1), job(8), job(1)) == [
        Placement(("0", "1"), (0, 1, 2, 3)),
        Placement(("2", "3"), (4, 5, 6, 7)),
        None,
    ]


def test_more_jobs_than_cores_share_them_all() -> None:
    pool = Pool((), (0, 1), "3")
    assert taken(pool, job(), job(), job(), job()) == [Placement((), ())] * 3 + [None]


def test_more_jobs_than_gpus_are_refused_before_anything_starts() -> None:
    with pytest.raises(BadRequest, match=r"hydra\.launcher\.parallel=5: there are only 4 devices"):
        Pool(GPUS, CORES, 5)


@pytest.mark.parametrize("parallel", [0, -1, "all", True, "1.5", ""])
def test_what_is_no_number_of_jobs_is_refused(parallel: str | int) -> None:
    with pytest.raises(BadRequest, match=r"hydra\.launcher\.parallel: .* is neither auto nor a number of jobs"):
        Pool(GPUS, CORES, parallel)


def test_the_node_agent_is_told_in_its_own_words() -> None:
    assert Placement(("0", "1"), (2, 3)).arguments() == ["--devices", "0,1", "--cores", "2,3"]
    assert Placement((), ()).arguments() == []


def test_everything_can_be_taken_again_once_all_is_given_back() -> None:
    pool = Pool(GPUS, CORES, "auto")
    for _ in range(3):
        placements = [one for one in taken(pool, job(1), job(2), job(1)) if one]
        assert sorted(d for p in placements for d in p.devices) == list(GPUS)
        for placement in reversed(placements):
            pool.give_back(placement)
