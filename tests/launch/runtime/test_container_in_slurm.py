"""`runtime=slurm container=docker`: containers of a real engine on each node of a real Slurm."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from primus.launch.job import agents
from primus.node.plan import Container, from_json

from ...cluster.docker import Docker, engine
from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, Primus, Start
from ...node.conftest import Run, make  # noqa: F401 -- a fixture

pytestmark = [pytest.mark.slurm, pytest.mark.docker]

TELLS = """
import json, os, sys
print(json.dumps([os.environ[n] for n in ("RANK", "WORLD_SIZE", "MASTER_ADDR")] + [os.uname().nodename]))
sys.exit(int(os.environ.get("CODE", "0")))
"""
WAITS = "import time; print('waiting', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, slurm_cluster: Slurm) -> Iterator[dict[str, Docker]]:
    """An engine on each node, in its network."""
    with ExitStack() as stack:
        yield {
            node: stack.enter_context(engine(tmp_path_factory.mktemp("docker") / node, node))
            for node in slurm_cluster.nodes
        }


@pytest.fixture
def nodes(
    engines: dict[str, Docker], slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Docker]:
    """The engines; `docker` on a node is a word with its own, though the nodes of the test have one file system."""
    links = tmp_path / "engines"
    links.mkdir()
    for node, docker in engines.items():
        (links / node).symlink_to(docker.directory)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/docker"
    program.write_text(
        f'#!/bin/sh\nDOCKER_HOST=unix://{links}/$(hostname)/docker.sock exec {shutil.which("docker")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return engines


def words(docker: Docker, work: Path, text: str) -> tuple[str, ...]:
    (work / "rank.py").write_text(text)
    return (
        *("runtime=slurm", "container=docker", f"container.image={docker.image}", "task=command"),
        *("task.command=[python3,-I,-S,rank.py]", "node.metrics_interval=0", "tracking.enabled=false"),
        *("ranks_per_node=1", "console.ranks=all"),
    )


def test_ranks_in_containers_of_two_nodes_meet(primus: Primus, nodes: dict[str, Docker], work: Path) -> None:
    docker = next(iter(nodes.values()))
    said = primus(*words(docker, work, TELLS), "runtime.nodes=2")
    assert said.code == 0, said.out + said.err
    lines = [line[line.index('["') :] for line in said.out.splitlines() if '["' in line]
    told = sorted(json.loads(line) for line in lines)
    first, second = nodes
    address = told[0][2]
    assert told == [["0", "2", address, first], ["1", "2", address, second]]
    assert not address.startswith("127.")
    assert [docker.containers() for docker in nodes.values()] == [[], []]
    (run,) = (work / "outputs/default").iterdir()
    facts = [json.loads((run / f"nodes/{n}.json").read_text()) for n in (0, 1)]
    assert [f["host"] for f in facts] == [first, second]
    assert all(f["container"]["digest"].startswith("sha256:") for f in facts)


def test_the_exit_code_of_a_rank_in_a_container_is_slurms(
    primus: Primus, nodes: dict[str, Docker], slurm: Slurm, work: Path
) -> None:
    said = primus(*words(next(iter(nodes.values())), work, TELLS), "env.set.CODE=3")
    assert said.code == 1
    (line,) = (line for line in said.out.splitlines() if line.startswith("job "))
    assert slurm.wait(line.split()[1], "FAILED")["ExitCode"] == "3:0"


def test_a_job_that_is_cancelled_leaves_no_container_on_any_node(
    start: Start, nodes: dict[str, Docker], slurm: Slurm, work: Path
) -> None:
    process = start(*words(next(iter(nodes.values())), work, WAITS), "runtime.nodes=2")
    assert process.stdout
    job_id = process.stdout.readline().split()[1]
    while not process.stdout.readline().endswith("waiting\n"):
        pass
    slurm.ask("scancel", job_id)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert all(docker.empty() for docker in nodes.values())


@pytest.mark.slow
def test_the_host_of_a_container_that_lost_the_first_node_ends_the_job(
    start: Start, nodes: dict[str, Docker], slurm: Slurm, work: Path
) -> None:
    process = start(*words(next(iter(nodes.values())), work, WAITS), "runtime.nodes=2", "node.lost_after=3")
    assert process.stdout
    shown = [process.stdout.readline() for _ in range(3)]
    while sum("waiting" in line for line in shown) < 2:
        shown.append(process.stdout.readline())
    with slurm.cut_off(slurm.nodes[0]):
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out + err
    assert f"lost the connection to node 0 ({slurm.nodes[0]})" in err
    slurm.wait(shown[0].split()[1], "CANCELLED")
    assert all(docker.empty() for docker in nodes.values())


def test_an_image_that_a_node_has_not_is_said_with_its_name(
    primus: Primus, nodes: dict[str, Docker], work: Path
) -> None:
    said = primus(*words(next(iter(nodes.values())), work, TELLS), "container.image=nobody/nothing")
    assert said.code == 2
    assert "docker has no image nobody/nothing" in said.err


def test_pyxis_puts_the_agents_of_the_step_in_the_container(make: Callable[..., Run]) -> None:  # noqa: F811
    run = make(container=Container("pyxis", "/images/x.sqsh", python="python", environment=("NCCL_*", "A=b")))
    plan = from_json(run.text("plan.json"))
    assert agents.by_srun(plan, watched=False)
    words = agents.step(plan, run.directory, {"NCCL_DEBUG": "INFO"})
    assert words[0] == "srun"
    assert "--container-image=/images/x.sqsh" in words
    assert "--container-env=NCCL_DEBUG" in words
    program = words.index("/usr/bin/env")
    assert words[program : program + 4] == ("/usr/bin/env", "A=b", "python", "-I")
    assert sys.executable not in words
