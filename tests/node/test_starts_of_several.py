"""Ranks of two nodes of a real Slurm that start again together after a failure."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from primus.node import rundir
from primus.node.plan import Watchdog
from primus.node.rendezvous import candidates

from ..cluster.slurm import Slurm, number
from ..conftest import PATIENCE
from .conftest import Run, progress
from .test_several import WAITS, Begin, Step, begin, end, parent, result
from .test_starts import COUNTS, HANGS, moves

__all__ = ["begin"]  # a fixture

pytestmark = pytest.mark.slurm


def ports(step: Step, rank: int) -> list[str]:
    return step.run.text(f"starts-{rank}").split()


def comes(step: Step, end: str) -> bool:
    """Whether a line comes that ends so; a rank may have been ended before it said that it was up."""
    return any(line.endswith(end) for line in iter(step.line, ""))


def test_the_ranks_of_all_nodes_start_again_after_one_has_failed(begin: Begin, slurm: Slurm) -> None:
    fails = "report(start); (fail() if rank else time.sleep(600)) if start == 1 else print('up')"
    step = begin(COUNTS + fails, restarts=2, restart_backoff=0.1)
    assert step.wait() == 0, step.errors
    why = "rank 1 was ended by SIGKILL after step 1"
    assert step.shown == f"primus: {why}; start 2 of 3 in 0.1 s\nup\n"
    assert [end(step.outcome(n)) for n in (0, 1)] == [("finished", 0, "after 1 restart")] * 2
    assert ports(step, 0) == ports(step, 1)
    assert len(set(ports(step, 0))) == 2
    for n in (0, 1):
        assert f"--- start 2 of 3, after: {why} ---" in step.run.text(rundir.rank_log(n, n))
    assert [one["status"] for one in step.facts(0)["starts"]] == ["killed", "finished"]
    assert [one["status"] for one in step.facts(1)["starts"]] == ["failed", "finished"]
    assert '"restarts": 1' in step.run.text(rundir.host_metrics(0))
    assert result(step)["restarts"] == 1


def test_a_failure_that_repeats_is_the_cause_on_every_node(begin: Begin, slurm: Slurm) -> None:
    fails = "rank or time.sleep(600); report(7); sys.exit(3)"
    step = begin(COUNTS + fails, restarts=9, restart_backoff=0.0)
    assert step.wait() == 3
    words = "it failed after step 7 twice in a row, so it is not started again"
    assert end(step.outcome(1)) == ("failed", 3, f"rank 1 ended with exit code 3; {words} (after 1 restart)")
    assert step.outcome(0)["status"] == "killed"
    assert result(step)["message"] == step.outcome(1)["message"]
    assert (result(step)["root_cause"]["rank"], result(step)["root_cause"]["node_rank"]) == (1, 1)


def test_a_job_that_slurm_cancels_while_the_next_start_is_waited_for_is_killed(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "time.sleep(600) if rank == 0 else sys.exit(5)", restarts=9, restart_backoff=300.0)
    assert comes(step, "start 2 of 10 in 300 s")
    slurm.ask("scancel", step.job_id)
    step.wait()
    assert {step.outcome(n)["status"] for n in (0, 1)} == {"killed"}
    assert [step.outcome(n)["lost"] for n in (0, 1)] == [[], []]
    assert result(step)["status"] == "KILLED"


@pytest.mark.parametrize("waiting", [False, True])
def test_a_job_that_loses_a_node_is_not_started_again_here(begin: Begin, slurm: Slurm, waiting: bool) -> None:
    fails = "sys.exit(5) if rank == 1 else time.sleep(600)" if waiting else "time.sleep(600)"
    step = begin(WAITS + fails, restarts=9, restart_backoff=300.0)
    assert comes(step, "start 2 of 10 in 300 s" if waiting else "up")
    agent = step.agent(1)
    guard = parent(agent)
    os.kill(guard, signal.SIGSTOP)  # else it would tell how the agent ended
    os.kill(agent, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)
    step.wait()
    name = f"node 1 ({slurm.nodes[1]})"
    assert step.outcome(0)["lost"] == [name]
    assert step.outcome(0)["message"] == f"lost {name}: connection closed"
    assert result(step)["status"] == "FAILED"


def test_a_node_that_hears_of_a_failure_before_its_own_ranks_are_up_takes_part_in_the_next_start(
    make: Callable[..., Run], slurm: Slurm
) -> None:
    """Node 0 is the test; its address on the cluster's network is no loopback."""
    run, key = make("print('up')", nodes=2, restarts=1), f"{os.getpid()}{time.monotonic_ns()}"
    place = {"SLURM_JOB_ID": key, "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": f"c{number()}ctl,b"}
    with socket.create_server(("", candidates(key)[0])) as server:
        server.settimeout(PATIENCE)
        agent = run.start("--node-rank", "slurm", env={**place, "SLURM_NODEID": "1"})
        with server.accept()[0] as connection, connection.makefile("rw") as file:
            connection.settimeout(PATIENCE)

            def hear() -> dict[str, Any]:
                message: dict[str, object] = json.loads(file.readline())
                return message

            def say(*messages: dict[str, object]) -> None:
                file.write("".join(json.dumps(message) + "\n" for message in messages))
                file.flush()

            assert hear()["node"] == 1
            say({"welcome": "node 0", "time": time.time()})
            assert hear()["ready"] == 1
            say({"world": ["127.0.0.1", 20001]}, {"end": "rank 0 has failed", "code": 1, "killed": False})
            assert {"status": "killed", "final": False}.items() <= hear()["ended"].items()
            say({"verdict": {"start": 2, "seconds": 0.0, "words": "rank 0 has failed"}})
            assert hear()["ready"] == 1
            say({"world": ["127.0.0.1", 20002]})
            assert hear()["ended"]["status"] == "finished"
            say({"verdict": {}}, {"farewell": "finished"}, {"over": True})
            assert agent.wait() == 0
    assert "up" in run.text(rundir.rank_log(1, 1))


def test_ranks_of_two_nodes_that_hang_start_again(begin: Begin, slurm: Slurm) -> None:
    step = begin(HANGS, restarts=1, restart_backoff=1.0, watchdog=Watchdog(0.5), grace_period=0.1)
    with progress(step.run, lambda: moves(step.run)):
        assert step.wait() == 0, step.errors
    assert [end(step.outcome(n)) for n in (0, 1)] == [("finished", 0, "after 1 restart")] * 2
    assert {one["status"] for n in (0, 1) for one in step.facts(n)["starts"][:1]} <= {"failed", "killed"}
