"""One training by four ways: where it runs changes where it runs, and nothing else."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .cluster.docker import Docker, engine
from .cluster.slurm import Slurm
from .conftest import PATIENCE, PATIENT, Start

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.docker, pytest.mark.torch, pytest.mark.mlflow]

TRAINING = (
    *("model.layers=1", "model.hidden_size=64", "model.head_size=8", "model.ffn_size=64", "data=mock"),
    *("task.sequence_length=32", "task.steps=4", "env.set.OMP_NUM_THREADS=1"),
)
ODD = "a 'b' \"c\" $HOME `d`, e\n{f} %j \\"
TELLS = """
import json, os, pathlib, sys
name = "rank-" + os.environ["RANK"] + ".json"
pathlib.Path(os.environ["PRIMUS_RUN_DIR"], name).write_text(json.dumps(dict(os.environ)))
sys.exit(int(os.environ["CODE"]) if os.environ["RANK"] == "1" else 0)
"""

OF_THE_RUN = {
    "PRIMUS_RUN_DIR",
    "PRIMUS_RUN_ID",
    "PRIMUS_METRICS",
    "PRIMUS_HEARTBEAT",
    "PRIMUS_STOP_FILE",
    "MASTER_ADDR",
    "MASTER_PORT",
}
"""Differ between any two runs."""
OF_A_NODE = {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK"}
"""Of ranks on several nodes: where each is, and how it reaches the others."""
OF_SLURM = {"TMPDIR", "ENVIRONMENT", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_"}
"""What Slurm and the shell of a batch script set, beside SLURM*_ and SRUN_*."""
OF_AN_IMAGE = {"HOME", "PATH", "HOSTNAME", "LC_CTYPE", "PRIMUS_CONTAINER"}
"""What an image has of its own; of the user's shell it gets what the user hands on, and no more."""


@dataclass(frozen=True)
class Ran:
    """What a run left: exit code, resolved config, result, losses, record."""

    directory: Path
    code: int
    config: dict[str, Any]
    result: dict[str, Any]
    losses: list[float]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, slurm_cluster: Slurm) -> Iterator[dict[str, Docker]]:
    """An engine on each node, in its network, and one here."""
    with ExitStack() as stack:
        base = tmp_path_factory.mktemp("docker")
        places = {node: node for node in slurm_cluster.nodes} | {"here": ""}
        yield {name: stack.enter_context(engine(base / name, node)) for name, node in places.items()}


@pytest.fixture
def engine_of_each_node(
    engines: dict[str, Docker], slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Docker:
    """`docker` is on each node a word with that node's engine, though the nodes of the test share one file system."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/docker"
    cases = "".join(
        f"{name}) export DOCKER_HOST={docker.host};; " for name, docker in engines.items() if name != "here"
    )
    here = f"*) export DOCKER_HOST={engines['here'].host};;"
    program.write_text(f'#!/bin/sh\ncase $(hostname) in {cases}{here} esac\nexec {shutil.which("docker")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return engines["here"]


def _prefixes() -> list[str]:
    """Where the interpreter of these tests is, and the one that it was made of; Debian's own the image has as well."""
    return [path for path in dict.fromkeys((sys.prefix, sys.base_prefix)) if path != "/usr"]


def in_a_container(docker: Docker) -> tuple[str, ...]:
    """With the Python of this machine, and what it has installed, as the image's."""
    prefixes = ",".join(f"'{path}:ro'" for path in _prefixes())
    return (
        *("container=docker", f"container.image={docker.image}", f"backend.python={sys.executable}"),
        f"container.mounts=[{prefixes}]",
    )


def places(docker: Docker) -> dict[str, tuple[str, ...]]:
    """Two ranks in each: of one node, and of two."""
    prefixes = ",".join(f"'{path}:ro'" for path in _prefixes())
    container = (
        *("container=docker", f"container.image={docker.image}", f"backend.python={sys.executable}"),
        f"container.mounts=[{prefixes}]",
    )
    return {
        "direct": ("ranks_per_node=2",),
        "container": ("ranks_per_node=2", "runtime=container", *container),
        "slurm": ("ranks_per_node=1", "runtime=slurm", "runtime.nodes=2"),
        "slurm+container": ("ranks_per_node=1", "runtime=slurm", "runtime.nodes=2", *container),
    }


def run(start: Start, work: Path, *words: str) -> Ran:
    """A command, to its end."""
    process = start(*words, PATIENT)
    out, err = process.communicate(timeout=3 * PATIENCE)
    told = [line for line in out.splitlines() if line.startswith("run ")]
    assert told, out + err
    directory = work / told[0].split()[1]
    metrics = directory / "metrics/rank-0.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    config = yaml.safe_load((directory / "config.yaml").read_text())
    return Ran(
        directory,
        process.returncode,
        {k: v for k, v in config.items() if k not in ("runtime", "container", "backend", "ranks_per_node", "tracking")},
        json.loads((directory / "result.json").read_text()),
        [line["loss"] for line in lines if "loss" in line],
    )


def test_a_training_is_the_same_wherever_it_runs(start: Start, work: Path, engine_of_each_node: Docker) -> None:
    ran = {name: run(start, work, *TRAINING, *where) for name, where in places(engine_of_each_node).items()}
    direct = ran["direct"]
    assert len(direct.losses) == 4
    for name, other in ran.items():
        assert (name, other.code, other.result["status"]) == (name, 0, "FINISHED")
        assert (name, other.losses) == (name, direct.losses)
        assert (name, other.config) == (name, direct.config)
        assert other.result["step"] == 4
        assert json.loads((other.directory / "record.json").read_text())["complete"]


@pytest.mark.parametrize("code", [0, 5])
def test_a_rank_has_the_same_environment_and_status_wherever_it_runs(
    start: Start, work: Path, engine_of_each_node: Docker, code: int
) -> None:
    (work / "rank.py").write_text(TELLS)
    words = (
        *("task=command", "task.command=[python3,-I,-S,rank.py]", f"env.set.CODE={code}", f"env.set.ODD={ODD}"),
        *("env.set.OMP_NUM_THREADS=1", "tracking.enabled=false", "node.metrics_interval=0"),
    )
    ran, environments = {}, {}
    for name, where in places(engine_of_each_node).items():
        ours = [word for word in where if not word.startswith("backend.python=")]
        ran[name] = run(start, work, *words, *ours)
        text = (ran[name].directory / "rank-1.json").read_text()
        environments[name] = {n: v for n, v in json.loads(text).items() if not n.startswith(("SLURM", "SRUN_"))}
    direct = environments["direct"]
    assert direct["ODD"] == ODD
    own = OF_THE_RUN | OF_A_NODE | OF_SLURM | OF_AN_IMAGE
    for name, environment in environments.items():
        assert ran[name].code == (1 if code else 0)
        assert ran[name].config == ran["direct"].config
        if code:
            cause = ran[name].result["root_cause"]
            assert (name, cause["rank"], cause["exit_code"]) == (name, 1, 5)
        inside = "container" in name
        kept = {n: v for n, v in direct.items() if n not in own and (n in environment or not inside)}
        assert (name, {n: v for n, v in environment.items() if n not in own}) == (name, kept)
        assert (environment["RANK"], environment["WORLD_SIZE"]) == ("1", "2")
