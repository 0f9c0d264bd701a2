"""Agents of two nodes of a real Slurm, each with a network and a host name of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from primus.launch.outcome import summary
from primus.node import rundir
from primus.node.plan import Watchdog
from primus.node.rendezvous import candidates

from ..cluster.slurm import Slurm, number
from ..conftest import PATIENCE, gone
from .conftest import ARRIVES, NODE, Run, arrived, ended, progress
from .hooks.conftest import add_hooks
from .test_agent import OLDEST

pytestmark = pytest.mark.slurm
SRUN = ("srun", "--nodes=2", "--ntasks-per-node=1", "--kill-on-bad-exit=0", "--wait=0", "--mpi=none", "--input=none")


class Step:
    """A task on each node, in a job of its own."""

    def __init__(self, run: Run, python: str) -> None:
        self.run = run
        agent = [python, "-I", "-S", str(NODE), "--plan", str(run.directory / rundir.PLAN)]
        argv = [*SRUN, *agent, "--node-rank", "slurm"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True)
        self.shown = self.errors = ""

    def wait(self) -> int:
        self.shown, self.errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def line(self) -> str:
        """What the rank that is shown prints next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def facts(self, node: int) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.run.text(rundir.node_facts(node)))
        return facts

    def outcome(self, node: int) -> dict[str, Any]:
        outcome: dict[str, Any] = self.facts(node)["outcome"]
        return outcome

    @property
    def job_id(self) -> str:
        return self.file("job").read_text()

    def agent(self, node: int) -> int:
        """The process of the agent of a node, once its rank is up."""
        return int(self.file(f"agent-{node}").read_text())

    def file(self, name: str) -> Path:
        """What a rank has written about itself, once it is there."""
        path = self.run.directory / name
        until = time.monotonic() + PATIENCE
        while not path.exists():
            assert time.monotonic() < until, f"{name} does not come"
            time.sleep(0.01)
        return path


Begin = Callable[..., Step]


@pytest.fixture
def begin(make: Callable[..., Run], slurm: Slurm) -> Iterator[Begin]:
    """Run a Python text as the ranks of two nodes: `begin("print(1)", ranks=2)`."""
    steps: list[Step] = []

    def start(
        script: str, python: str = sys.executable, hooks: dict[str, str] | None = None, once: bool = False, **job: Any
    ) -> Step:
        run = make(script, nodes=2, **job)
        add_hooks(run, hooks or {}, once=once)
        steps.append(Step(run, python))
        return steps[-1]

    yield start
    for step in steps:
        if step.process.poll() is None:
            step.process.kill()
            step.wait()
        for pipe in (step.process.stdout, step.process.stderr):
            assert pipe
            pipe.close()


MEET = """
import json, os
names = "RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE NODE_RANK MASTER_ADDR MASTER_PORT GLOO_SOCKET_IFNAME"
names += " NCCL_SOCKET_IFNAME PRIMUS_STOP_FILE"
print(json.dumps({name: os.environ.get(name) for name in names.split()}))
"""


# Says who is there, and prints `up` once the ranks of both nodes are.
WAITS = """
import os, sys, time
rank, here = int(os.environ["RANK"]), os.environ["PRIMUS_RUN_DIR"]
def write(name, text):
    with open(f"{here}/.{name}", "w") as file: file.write(text)
    os.rename(f"{here}/.{name}", f"{here}/{name}")
if rank == 0: write("job", os.environ["SLURM_JOB_ID"])
write(f"agent-{rank}", str(os.getppid()))
while not os.path.exists(f"{here}/agent-{1 - rank}"): time.sleep(0.01)
print("up", flush=True)
"""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def result(step: Step) -> dict[str, Any]:
    """What the launch side makes of it."""
    return summary(step.run.directory, 0.0, 0.0, False, None)


def end(node: dict[str, Any]) -> tuple[str, int, str | None]:
    return node["status"], node["exit_code"], node["message"]


def test_two_nodes_are_one_world_that_meets_at_the_address_of_the_first(begin: Begin, slurm: Slurm) -> None:
    step = begin(MEET, OLDEST or sys.executable, ranks=2, console_ranks="all")
    assert (step.wait(), step.errors) == (0, "")
    said = [json.loads(line[line.index("{") :]) for line in step.shown.splitlines()]
    ranks = sorted(said, key=lambda environ: int(environ["RANK"]))
    assert [(e["RANK"], e["NODE_RANK"], e["LOCAL_RANK"]) for e in ranks] == [
        ("0", "0", "0"),
        ("1", "0", "1"),
        ("2", "1", "0"),
        ("3", "1", "1"),
    ]
    assert {(e["WORLD_SIZE"], e["LOCAL_WORLD_SIZE"]) for e in ranks} == {("4", "2")}
    assert {e["MASTER_ADDR"] for e in ranks} == {f"10.78.{number()}.11"}
    assert len({e["MASTER_PORT"] for e in ranks}) == 1
    assert {(e["GLOO_SOCKET_IFNAME"], e["NCCL_SOCKET_IFNAME"]) for e in ranks} == {("eth0", "=eth0")}
    assert [step.facts(n)["host"] for n in (0, 1)] == list(slurm.nodes)
    recorded = {v["name"]: v for v in step.facts(1)["environment"]}["GLOO_SOCKET_IFNAME"]
    assert (recorded["value"], recorded["origin"]) == ("eth0", "route to node 0")
    assert abs(step.facts(1)["clock_offset"]) < 1.0


def test_a_rank_that_fails_ends_the_ranks_of_all_nodes_and_is_the_root_cause(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "sys.exit(3) if rank == 1 else time.sleep(600)")
    assert step.wait() == 3
    assert end(step.outcome(1)) == ("failed", 3, "rank 1 ended with exit code 3")
    because = f"ended because of node 1 ({slurm.nodes[1]}): rank 1 ended with exit code 3"
    assert end(step.outcome(0)) == ("killed", 3, because)
    found = result(step)
    assert (found["status"], found["exit_code"], found["message"]) == ("FAILED", 1, "rank 1 ended with exit code 3")
    assert (found["root_cause"]["rank"], found["root_cause"]["node_rank"]) == (1, 1)


def test_a_rank_of_the_first_node_that_is_killed_ends_the_others(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "os.kill(os.getpid(), 9) if rank == 0 else time.sleep(600)")
    assert step.wait() == 137
    assert end(step.outcome(0)) == ("failed", 137, "rank 0 was ended by SIGKILL")
    assert end(step.outcome(1))[0] == "killed"
    assert f"node 0 ({slurm.nodes[0]}): rank 0 was ended by SIGKILL" in step.outcome(1)["message"]
    assert result(step)["root_cause"]["signal"] == "SIGKILL"


@pytest.mark.parametrize("victim", [0, 1])
def test_a_node_whose_agent_is_killed_ends_the_job_by_name(begin: Begin, slurm: Slurm, victim: int) -> None:
    step = begin(WAITS + "time.sleep(600)", console_ranks=str(1 - victim))
    assert step.line() == "up"
    agent = step.agent(victim)
    guard = parent(agent)
    os.kill(guard, signal.SIGSTOP)  # else it would tell how the agent ended
    os.kill(agent, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)
    step.wait()
    name = f"node {victim} ({slurm.nodes[victim]})"
    words = f"lost the connection to {name}" if victim == 0 else f"lost {name}"
    assert end(step.outcome(1 - victim)) == ("failed", 1, f"{words}: connection closed")
    assert step.outcome(1 - victim)["lost"] == [name]
    found = result(step)
    assert (found["status"], found["exit_code"], found["message"]) == ("FAILED", 1, f"{words}: connection closed")


def test_a_cut_cable_ends_the_job_with_the_name_of_the_node(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "time.sleep(600)", lost_after=2.0)
    assert step.line() == "up"
    agents = [step.agent(0), step.agent(1)]
    cable = ["ip", "-n", slurm.nodes[1], "link", "set", "eth0"]
    subprocess.run([*cable, "down"], check=True)
    try:
        assert all(map(gone, agents))
    finally:
        subprocess.run([*cable, "up"], check=True)
    step.wait()
    first, other = step.outcome(0), step.outcome(1)
    assert (first["status"], first["exit_code"], first["lost"]) == ("failed", 1, [f"node 1 ({slurm.nodes[1]})"])
    assert first["message"].startswith(f"lost node 1 ({slurm.nodes[1]}): ")
    assert other["message"].startswith(f"lost the connection to node 0 ({slurm.nodes[0]}): ")
    assert result(step)["message"] == first["message"]
    assert result(step)["root_cause"] is None


def test_a_node_that_cannot_reach_the_first_says_so_with_names_and_addresses(begin: Begin, slurm: Slurm) -> None:
    first = f"10.78.{number()}.11"
    route = ["ip", "-n", slurm.nodes[1], "route"]
    subprocess.run([*route, "add", "unreachable", first], check=True)
    try:
        step = begin(MEET, meet_within=1.0)
        assert step.wait() == 3
    finally:
        subprocess.run([*route, "del", "unreachable", first], check=True)
    status, code, message = end(step.outcome(1))
    assert (status, code) == ("unfit", 3)
    assert message.startswith(f"node 1 ({slurm.nodes[1]}) cannot reach node 0 ({slurm.nodes[0]}) ({first}:")
    assert message.endswith(": no route to host)")
    late = f"node 1 ({slurm.nodes[1]}) did not come to node 0 ({slurm.nodes[0]}) within 1 s"
    assert end(step.outcome(0)) == ("unfit", 3, late)
    assert (result(step)["exit_code"], result(step)["message"]) == (3, f"{late}; {message}")


def test_a_node_that_starts_first_waits_and_passes_over_a_stranger_on_the_port(
    make: Callable[..., Run], slurm: Slurm
) -> None:
    """Both agents are on this host, whose address on the cluster's network is no loopback."""
    run, key = make("import os; print(os.environ['MASTER_ADDR'])", nodes=2), f"{os.getpid()}{time.monotonic_ns()}"
    place = {"SLURM_JOB_ID": key, "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": f"c{number()}ctl,b"}
    with socket.create_server(("", candidates(key)[0])) as stranger:
        other = run.start("--node-rank", "slurm", env={**place, "SLURM_NODEID": "1"})
        stranger.settimeout(PATIENCE)
        with stranger.accept()[0] as connection:
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
        first = run.start("--node-rank", "slurm", env={**place, "SLURM_NODEID": "0"})
        with stranger.accept()[0] as connection:  # it tries again, in the same order
            connection.sendall(b"220 mail\r\n")
        assert (other.wait(), first.wait()) == (0, 0)
    assert first.shown == f"10.78.{number()}.1\n".encode()


def test_a_job_that_slurm_cancels_is_killed_and_no_node_is_lost(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "time.sleep(600)")
    assert step.line() == "up"
    slurm.ask("scancel", step.job_id)
    step.wait()
    assert {step.outcome(n)["status"] for n in (0, 1)} == {"killed"}
    assert [step.outcome(n)["lost"] for n in (0, 1)] == [[], []]
    assert result(step)["status"] == "KILLED"


def test_a_job_asked_to_stop_lets_its_ranks_end_by_themselves(begin: Begin, slurm: Slurm) -> None:
    step = begin(WAITS + "while not os.path.exists(os.environ['PRIMUS_STOP_FILE']): time.sleep(0.02)", workers=True)
    assert step.line() == "up"
    slurm.ask("scancel", "--signal=USR1", step.job_id)  # it reaches the ranks as well
    assert step.wait() == 0
    assert [end(step.outcome(n)) for n in (0, 1)] == [("finished", 0, "stopped on request")] * 2
    assert result(step)["message"] == "stopped on request"


@pytest.mark.slow
@pytest.mark.torch
def test_ranks_of_two_nodes_reduce_over_gloo(begin: Begin, slurm: Slurm) -> None:
    script = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(value)
print(value.item(), flush=True)
dist.destroy_process_group()
"""
    step = begin("", argv=(sys.executable, "-c", script))
    assert step.wait() == 0
    assert step.shown.splitlines()[-1] == "3.0"  # after what torch has to say about host names


def test_what_a_hook_that_runs_once_asks_for_reaches_every_node(begin: Begin) -> None:
    hook = 'echo env.HF_TOKEN="from-node-$PRIMUS_NODE_RANK"'
    step = begin("import os; print(os.environ['HF_TOKEN'][:9])", hooks={"before-10_a.sh": hook}, once=True)
    assert step.wait() == 0
    logs = [step.run.text(rundir.rank_log(rank, rank)) for rank in (0, 1)]
    assert [log.split(" | ")[1] for log in logs] == ["from-node\n"] * 2
    assert (step.run.directory / rundir.hooks_log(0)).exists()
    assert not (step.run.directory / rundir.hooks_log(1)).exists()
    assert [[h["name"] for h in step.facts(n).get("hooks", [])] for n in (0, 1)] == [["10_a.sh"], []]


def test_a_hook_that_fails_on_one_node_stops_the_job_on_all(begin: Begin) -> None:
    hook = {"before-10_a.sh": "exit $((5 * PRIMUS_NODE_RANK))", "after-20_b.sh": 'echo "after: $PRIMUS_STATUS"'}
    step = begin("print(1)", hooks=hook)
    assert step.wait() != 0
    assert end(step.outcome(1))[:2] == ("unfit", 3)
    assert "hook 10_a.sh ended with exit code 5" in str(step.outcome(0)["message"])
    assert not (step.run.directory / rundir.rank_log(0, 0)).exists()
    assert [step.run.text(rundir.hooks_log(n)).split(" | ")[1].startswith("after: ") for n in (0, 1)] == [True, True]


# `load`, and rank 1 stops itself in it.
HANGS = f"""
import os, signal, time
def load():
    {ARRIVES}
    if os.environ["RANK"] == "1": os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
if os.environ["RANK"] not in os.environ.get("QUITS", ""): load()
"""


def test_a_rank_that_is_stopped_on_one_node_is_named_with_the_stacks_of_all(begin: Begin) -> None:
    step = begin(HANGS, watchdog=Watchdog(1.0), grace_period=0.1)
    with progress(step.run, lambda: not arrived(step.run, 0, 1)):
        assert step.wait() == 1
    done = result(step)
    assert (done["status"], done["exit_code"]) == ("FAILED", 1)
    assert (done["root_cause"]["rank"], done["root_cause"]["node_rank"]) == (1, 1)
    assert done["message"].startswith("no rank made progress for 1 s: rank 0 on node 0 ")
    assert done["message"].endswith("; rank 1 on node 1 is stopped (SIGSTOP)")
    assert step.outcome(0)["message"] == step.outcome(1)["message"] == done["message"]
    for node in (0, 1):
        assert f"rank {node} (process " in step.run.text(rundir.stacks(node))


def test_ranks_that_hang_after_those_of_the_first_node_have_ended_fail_the_job(begin: Begin) -> None:
    quits = f"import os; print(os.getpid(), flush=True); os.environ['QUITS'] = '0'\n{HANGS}"
    step = begin(quits, watchdog=Watchdog(1.0), grace_period=0.1)
    with progress(step.run, lambda: not (ended(step.run, 0) and arrived(step.run, 1))):
        assert step.wait() == 1
    assert result(step)["status"] == "FAILED"
    assert result(step)["root_cause"]["rank"] == 1
    assert "rank 0 on node 0 ended with exit code 0" in result(step)["message"]


def test_progress_on_any_node_is_progress_of_the_job(begin: Begin) -> None:
    script = """
import os, time
for _ in range(25):
    if os.environ["RANK"] == "1": open(os.environ["PRIMUS_HEARTBEAT"], "w").close()
    time.sleep(0.2)
"""
    assert begin(script, watchdog=Watchdog(4.0)).wait() == 0
