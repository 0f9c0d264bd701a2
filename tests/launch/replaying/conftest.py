"""Runs to replay: real ones of a trivial command, made once."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ...conftest import Primus, Rank

ROOT = Path(__file__).parents[3]
Recorded = Callable[..., Path]


@pytest.fixture(scope="session")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output root of a run `outputs/default/<id>` that nobody changes."""
    from primus.node import process

    directory = tmp_path_factory.mktemp("run")
    here = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from primus.cli import main; main()"
    argv = [sys.executable, "-c", here, "task=command", f"task.command=[{sys.executable},-I,-c,pass]"]
    argv += ["tracking.enabled=false", "env.set.KEPT=a ${HOME} b", "node.metrics_interval=0"]
    started = process.start(argv, cwd=str(directory), stdout=process.DEVNULL)
    assert started.wait(60) == 0
    return directory / "outputs"


@pytest.fixture
def recorded(work: Path, one_run: Path) -> Path:
    """A copy of a finished run in the working directory, `outputs/default/<id>`."""
    shutil.copytree(one_run, work / "outputs")
    (run,) = (work / "outputs/default").iterdir()
    return run


@pytest.fixture
def run_of(primus: Primus, rank: Rank, work: Path) -> Recorded:
    """Run a trivial job with these overrides; its run directory."""

    def run(*overrides: str, text: str = "") -> Path:
        before = {*(work / "outputs").glob("*/*")}
        said = primus(*rank(text), "tracking.enabled=false", *overrides)
        assert said.code == 0, said.err
        (directory,) = {*(work / "outputs").glob("*/*")} - before
        return directory

    return run
