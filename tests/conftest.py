"""The command line, called as a user calls it: in this process where that is enough, else as a process of its own."""

import gc
import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from primus.node import rendezvous

from . import backends
from .cluster.docker import Docker, engine
from .cluster.slurm import Slurm, cluster

# The same examples each time: what fails in CI fails here, and a slow machine is no failure.
settings.register_profile("primus", derandomize=True, deadline=None, database=None)
settings.load_profile("primus")

PATIENCE = 120.0
"""Seconds to wait for something that happens soon, before a test fails instead of hanging."""

PATIENT = "tracking.wait=240"
"""Of a command whose record is to be complete at its end: a recorder stands back behind all that a machine does."""


@pytest.fixture(scope="session")
def megatron_python() -> str:
    """An interpreter that has Megatron."""
    return backends.python("megatron")


@pytest.fixture(scope="session")
def maxtext_python() -> str:
    """An interpreter that has MaxText."""
    return backends.python("maxtext")


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and no runs: making one takes over a second."""
    from primus.launch.record.store import Store

    root = tmp_path_factory.mktemp("database")
    Store(f"sqlite:///{root}/mlflow.db", root).find("Default", "primus.run_id", "none")
    return root / "mlflow.db"


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A real Slurm of two nodes, for all tests that do not break it."""
    with cluster(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture
def slurm(slurm_cluster: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """The cluster, and this process its user."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_cluster.conf))
    return slurm_cluster


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A real Docker engine with one image, for all tests."""
    with engine(tmp_path_factory.mktemp("docker")) as found:
        yield found


@pytest.fixture
def docker(docker_engine: Docker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """The engine, and this process its user; the test leaves no container."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    yield docker_engine
    try:
        assert docker_engine.empty()
    finally:  # the next test is not to fail of what this one left
        docker_engine.clear()


@pytest.fixture(scope="session", autouse=True)
def ports() -> Iterator[None]:
    """Those that `port` gave out are this process's until its end."""
    yield
    while rendezvous._held:
        rendezvous._held.pop().close()


def port() -> int:
    """A port of this host that no other program is given: below those of outgoing connections."""
    return rendezvous.free_port(os.urandom(8).hex(), None)


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Primus = Callable[..., Said]
Rank = Callable[..., tuple[str, ...]]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with nothing in the environment that speaks to Primus."""
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "HYDRA_", "COLUMNS"))]:
        monkeypatch.delenv(name)
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def primus(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Primus:
    """Run the command in this process, in `work`: `primus("task.steps=3", "dry_run=true")`."""
    from hydra.core.global_hydra import GlobalHydra

    from primus.cli import main

    def run(*words: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["primus", *words])
        monkeypatch.setattr(logging, "raiseExceptions", True)  # `main` turns this off, and the collector
        monkeypatch.setattr(gc, "disable", lambda: None)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not GlobalHydra.instance().is_initialized(), "Hydra's global state is left over"
        assert "HYDRA_FULL_ERROR" not in os.environ
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, said.out, said.err)

    return run


@pytest.fixture
def start(work: Path) -> Iterator[Start]:
    """Start the command as a process of its own, its output in pipes; killed if the test leaves it running."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, program: Sequence[str] = ("-m", "primus"), **environ: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, *program, *words],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def rank(work: Path) -> Rank:
    """The overrides of a job whose ranks run this Python text: `primus(*rank("print(1)"))`."""

    def override(text: str, name: str = "rank.py") -> tuple[str, ...]:
        (work / name).write_text(text)
        return "task=command", f"task.command=[{sys.executable},-I,-S,{name}]", "node.metrics_interval=0"

    return override


def gone(pid: int) -> bool:
    """Whether a process ends, waiting for it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], PATIENCE)[0])
    finally:
        os.close(fd)


def command_lines() -> dict[int, list[bytes]]:
    """The words of every process of this machine that lives, by its number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            found[int(path.name)] = (path / "cmdline").read_bytes().split(b"\0")
    return found


def everything(directory: Path) -> list[str]:
    """Every path below a directory."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
