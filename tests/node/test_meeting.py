"""The agent of one node of several, seen from the others: here they are sockets of the test."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from primus.node import host, network
from primus.node.meeting import listed
from primus.node.rendezvous import candidates

from ..conftest import PATIENCE, port
from .conftest import Agent, Run

HOST = host.name()
WAITS = "import time; print('up', flush=True); time.sleep(600)"


class Peer:
    """A node that speaks to node 0 of job `key`, once that listens."""

    def __init__(self, key: str) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection = socket.create_connection(("127.0.0.1", candidates(key)[0]), timeout=PATIENCE)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < until
                time.sleep(0.01)
        self.file = self.connection.makefile("rwb", buffering=0)

    def say(self, **message: Any) -> None:
        self.file.write(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next message; empty when the connection has ended."""
        line = self.file.readline()
        return json.loads(line) if line else {}

    def close(self) -> None:
        self.file.close()
        self.connection.close()


class Job:
    """The agent of node 0 of a job of several nodes that are called b, c, ..."""

    def __init__(self, run: Run, nodes: int) -> None:
        self.run, self.nodes = run, nodes
        self.key = f"{os.getpid()}{time.monotonic_ns()}"
        self.run_id = json.loads(run.text("plan.json"))["run_id"]
        self.peers: list[Peer] = []

    def start(self, node_id: int = 0, first: str = HOST) -> Agent:
        environ = {
            "SLURM_JOB_ID": self.key,
            "SLURM_NODEID": str(node_id),
            "SLURM_JOB_NUM_NODES": str(self.nodes),
            "SLURM_JOB_NODELIST": ",".join([first, "b", "c"][: self.nodes]),
        }
        return self.run.start("--node-rank", "slurm", env=environ)

    def peer(self) -> Peer:
        self.peers.append(Peer(self.key))
        return self.peers[-1]

    def hello(self, node: int = 1, **changes: Any) -> dict[str, Any]:
        return {"primus": self.run_id, "key": self.key, "restart": 0, "node": node, "host": "b", **changes}

    def join(self, node: int = 1, ranks: int = 1, gpus: str = "") -> Peer:
        """A node that has come and has said how many ranks it has."""
        peer = self.peer()
        peer.say(**self.hello(node))
        assert peer.hear()["welcome"] == HOST
        peer.say(ready=ranks, gpus=gpus)
        return peer


Begin = Callable[..., Job]


@pytest.fixture
def begin(make: Callable[..., Run]) -> Iterator[Begin]:
    """Plan a job: `begin("print(1)", nodes=2)`."""
    jobs: list[Job] = []

    def plan(script: str = "", nodes: int = 2, **how: Any) -> Job:
        jobs.append(Job(make(script, nodes=nodes, **how), nodes))
        return jobs[-1]

    yield plan
    for job in jobs:
        for peer in job.peers:
            peer.close()


def test_the_ranks_start_once_all_have_come_and_the_agent_stays_until_all_have_left(begin: Begin) -> None:
    job = begin("import os; print(os.environ['MASTER_ADDR'], os.environ['MASTER_PORT'])")
    agent = job.start()
    peer = job.join()
    address, port = peer.hear()["world"]
    assert agent.line() == f"{address} {port}"
    assert peer.hear() == {"farewell": "finished"}
    assert agent.process.poll() is None
    peer.say(farewell="finished")
    assert peer.hear() == {"over": True}
    assert agent.wait() == 0
    assert job.run.outcome["status"] == "finished"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"primus": "another"}, "this is run "),
        ({"key": "4712"}, "this is run "),
        ({"restart": 1}, "this is run "),
        ({"node": 2}, "there is no node 2 in this job"),
        ({"node": 0}, "there is no node 0 in this job"),
    ],
)
def test_a_stranger_or_another_start_is_refused(begin: Begin, changes: dict[str, Any], why: str) -> None:
    job = begin(meet_within=PATIENCE)
    agent = job.start()
    stranger = job.peer()
    stranger.say(**{**job.hello(), **changes})
    assert why in stranger.hear()["refused"]
    assert stranger.hear() == {}
    job.join().say(farewell="finished")
    assert agent.wait() == 0


def test_what_does_not_speak_as_an_agent_is_dropped_and_one_that_is_there_comes_once(begin: Begin) -> None:
    job = begin(nodes=3)
    agent = job.start()
    browser = job.peer()
    browser.file.write(b"GET / HTTP/1.1\r\n\r\n")
    assert browser.hear() == {}
    job.join(1).say(farewell="finished")
    again = job.peer()
    again.say(**job.hello(1))
    assert again.hear()["refused"] == "node 1 (b) is here already, from 127.0.0.1"
    job.join(2).say(farewell="finished")
    assert agent.wait() == 0


def test_nodes_that_do_not_come_are_named(begin: Begin) -> None:
    job = begin(nodes=3, meet_within=4.0)  # one of them is to have come by then
    agent = job.start()
    peer = job.join(1)
    assert agent.process.poll() is None
    assert "node 2 (c) did not come" in peer.hear()["end"]
    peer.say(farewell="killed")
    assert agent.wait() == 3
    late = f"node 2 (c) did not come to node 0 ({HOST}) within 4 s"
    assert (job.run.outcome["status"], job.run.outcome["message"]) == ("unfit", late)


def test_nodes_with_different_numbers_of_devices_are_named(begin: Begin) -> None:
    job = begin(nodes=3, gpu="cpu", ranks=None)
    agent = job.start()
    peers = [job.join(1), job.join(2, ranks=7)]
    for peer in peers:
        assert "different numbers of devices" in peer.hear()["end"]
        peer.say(farewell="killed")
    assert agent.wait() == 3
    told = f"the nodes have different numbers of devices: 1 on node 0 ({HOST}), node 1 (b); 7 on node 2 (c)."
    assert job.run.outcome["message"].startswith(told)


def test_nodes_with_different_gpus_are_named_and_run(begin: Begin) -> None:
    job = begin("print('up')", nodes=3, gpu="cpu")
    agent = job.start()
    peers = [job.join(1, gpus="NVIDIA H200"), job.join(2, gpus="NVIDIA H200")]
    for peer in peers:
        assert peer.hear()["world"]
        peer.say(farewell="finished")
    assert agent.wait() == 0
    told = f"different GPUs or drivers: NVIDIA H200 on node 1 (b), node 2 (c); no GPU on node 0 ({HOST}). The slowest"
    assert told in job.run.own_log


def test_nodes_that_are_to_be_alike_and_are_not_do_not_start(begin: Begin) -> None:
    job = begin("print('up')", nodes=3, gpu="cpu", alike="error")
    agent = job.start()
    peers = [job.join(1, gpus=""), job.join(2, gpus="NVIDIA H200, driver 570.1")]
    for peer in peers:
        assert "different GPUs or drivers" in peer.hear()["end"]
        peer.say(farewell="killed")
    assert agent.wait() == 3
    told = f"no GPU on node 0 ({HOST}), node 1 (b); NVIDIA H200, driver 570.1 on node 2 (c). node.alike=error refuses"
    assert told in job.run.outcome["message"]


def test_a_port_that_the_plan_sets_is_given_out(begin: Begin, layer: Callable[..., Any]) -> None:
    given = port()
    job = begin(environment=[layer("user", "env.set", MASTER_PORT=str(given))])
    agent = job.start()
    peer = job.join()
    assert peer.hear()["world"][1] == given
    peer.say(farewell="finished")
    assert agent.wait() == 0


def test_a_failure_that_another_node_tells_goes_to_all(begin: Begin) -> None:
    job = begin(WAITS, nodes=3)
    agent = job.start()
    one, two = job.join(1), job.join(2)
    assert agent.line() == "up"
    one.say(end="rank 1 ended with exit code 5", code=5, killed=False)
    one.say(farewell="failed")
    because = "ended because of node 1 (b): rank 1 ended with exit code 5"
    assert [two.hear(), two.hear()] == [{"world": one.hear()["world"]}, {"end": because, "code": 5, "killed": False}]
    two.say(farewell="killed")
    assert agent.wait() == 5
    assert (job.run.outcome["status"], job.run.outcome["message"]) == ("killed", because)


def test_a_node_whose_connection_ends_without_a_farewell_is_lost(begin: Begin) -> None:
    job = begin(WAITS, nodes=3)
    agent = job.start()
    one, two = job.join(1), job.join(2)
    assert agent.line() == "up"
    assert one.hear() == two.hear()
    one.close()
    assert two.hear()["end"] == "lost node 1 (b): connection closed"
    two.say(farewell="killed")
    assert agent.wait() == 1
    assert (job.run.outcome["status"], job.run.outcome["lost"]) == ("failed", ["node 1 (b)"])
    assert job.run.outcome["message"] == "lost node 1 (b): connection closed"


def test_a_lost_node_is_the_cause_though_a_rank_failed_of_it_first(begin: Begin) -> None:
    job = begin("import sys; sys.exit('RuntimeError: connection reset by peer')")
    agent = job.start()
    peer = job.join()
    peer.hear()
    assert "rank 0 ended with exit code 1" in peer.hear()["end"]
    peer.close()
    assert agent.wait() == 1
    assert (job.run.outcome["message"], job.run.outcome["root_cause"]) == ("lost node 1 (b): connection closed", None)


def test_a_job_can_be_ended_while_it_waits_for_its_nodes(begin: Begin) -> None:
    job = begin()
    agent = job.start()
    peer = job.peer()  # it listens
    agent.signal(15)
    assert agent.wait() == 143
    assert (job.run.outcome["status"], job.run.outcome["message"]) == ("killed", "ended by SIGTERM")
    assert peer.hear() == {}


def test_a_second_request_does_not_wait_for_the_other_nodes(begin: Begin) -> None:
    job = begin("")
    agent = job.start()
    peer = job.join()
    peer.hear()
    assert peer.hear() == {"farewell": "finished"}
    agent.signal(2)
    assert peer.hear()["killed"] is True
    agent.signal(2)
    assert agent.wait() in (0, 130)


FAILED = {"status": "failed", "message": "rank 1 ended", "time": 0.0, "step": 3, "final": False}


def test_what_another_node_asks_for_while_the_next_start_is_waited_for_is_done_at_once(begin: Begin) -> None:
    job = begin(WAITS, restarts=9, restart_backoff=300.0)
    agent = job.start()
    peer = job.join()
    assert "world" in peer.hear()
    assert agent.line() == "up"
    peer.say(end="rank 1 ended", code=5, killed=False)
    peer.say(ended=FAILED)
    assert agent.line() == "primus: rank 1 ended after step 3; start 2 of 10 in 300 s"
    peer.say(end="ended by SIGTERM", code=143, killed=True)
    assert peer.hear()["verdict"]["start"] is None
    assert peer.hear()["farewell"] == "killed"
    peer.say(farewell="killed")
    assert agent.wait() == 143
    assert job.run.outcome["message"] == "ended because of node 1 (b): ended by SIGTERM"


def test_a_node_that_leaves_does_not_come_to_a_next_start(begin: Begin) -> None:
    job = begin(WAITS, restarts=9)
    agent = job.start()
    peer = job.join()
    assert "world" in peer.hear()
    assert agent.line() == "up"
    peer.say(end="the program of the ranks is not on this node", code=3, killed=False)
    peer.say(farewell="unfit")
    assert peer.hear()["verdict"]["start"] is None
    agent.wait()
    assert job.run.outcome["status"] == "killed"
    assert "restarts" not in job.run.facts


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("no-such-host.invalid", "no-such-host.invalid has no address here"),
        ("localhost", "on b the name localhost stands for 127.0.0.1, which is b itself"),
    ],
)
def test_a_name_that_leads_nowhere_is_said(begin: Begin, first: str, why: str) -> None:
    job = begin(meet_within=0.1)
    agent = job.start(1, first)
    assert agent.wait() == 3
    outcome = json.loads(job.run.text("nodes/1.json"))["outcome"]
    assert outcome["message"].startswith(f"node 1 (b) cannot reach node 0 ({first}): ")
    assert why in outcome["message"]


def test_a_plan_for_several_nodes_is_refused_where_nothing_names_them(begin: Begin) -> None:
    run = begin(nodes=2).run
    assert run.finish().code == 2
    assert "the plan has 2 nodes, and nothing says where they meet" in run.outcome["message"]


def test_outside_of_slurm_its_node_rank_is_refused(begin: Begin) -> None:
    agent = begin().run.start("--node-rank", "slurm")
    assert agent.wait() == 2
    assert b"SLURM_NODEID is not set: this is no task of a Slurm job" in agent.errors


def test_one_node_of_slurm_needs_no_other(begin: Begin) -> None:
    job = begin("import os; print(os.environ['MASTER_ADDR'])", nodes=1)
    agent = job.start()
    assert agent.wait() == 0
    assert agent.shown == b"127.0.0.1\n"


def test_an_interface_is_found_by_its_address() -> None:
    assert network.interface("127.0.0.1") == "lo"
    assert network.interface("192.0.2.77") == ""
    if (
        Path("/proc/net/if_inet6").exists()
        and "00000000000000000000000000000001" in Path("/proc/net/if_inet6").read_text()
    ):
        assert network.interface("::1") == "lo"


def test_many_names_are_cut_short() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
