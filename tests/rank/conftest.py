"""Ranks as plain processes, with the environment that the node agent gives them."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import primus.rank
from primus.launch.config.request import Gpu, Profile
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.task.train import job
from primus.launch.task.train.pretrain import Settings as Pretrain
from tests import neutral

from ..conftest import port
from .warm import MODULES, Warm

RANK = Path(primus.rank.__file__).parent
TIMEOUT = 240  # seconds; a run takes less than ten, on a machine with nothing else to do


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the ranks ended, by rank; `directory` is the run directory."""

    exit_codes: list[int]
    logs: list[str]
    directory: Path

    def metrics(self, rank: int = 0) -> list[dict[str, Any]]:
        """What a rank wrote into its metrics file; nothing if it has none."""
        path = self.directory / "metrics" / f"rank-{rank}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def refused(self) -> bool:
        """Whether rank 0 said that what it was told is wrong; another may find it gone before it says so (JAX)."""
        return self.exit_codes[0] == 2 and set(self.exit_codes[1:]) <= {2, -signal.SIGABRT}

    def losses(self) -> list[float]:
        """Of every step."""
        return [line["loss"] for line in self.metrics() if "loss" in line]


Run = Callable[..., Ended]


def tiny() -> tuple[Model, Pretrain]:
    """A model and a training that take no time."""
    return (
        neutral.model(hidden_size=32, layers=2, attention_heads=4, kv_heads=2, head_size=8, ffn_size=48),
        neutral.training(steps=5, sequence_length=64, micro_batch=2),
    )


def start(
    directory: Path, ranks: int, arguments: Sequence[str], environment: dict[str, str], python: str = sys.executable
) -> list[subprocess.Popen[str]]:
    """Start all ranks of a node."""
    return [
        subprocess.Popen(
            [python, *arguments],
            env=environ,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environ in environments(directory, ranks, environment)
    ]


def environments(directory: Path, ranks: int, environment: dict[str, str]) -> list[dict[str, str]]:
    """Of all ranks of a node: nothing of this process but the path and what is given."""
    meeting = str(port())
    return [
        {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PRIMUS_RUN_DIR": str(directory),
            "PRIMUS_RUN_ID": "a-run",
            "PRIMUS_METRICS": str(directory / "metrics" / f"rank-{rank}.jsonl"),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": meeting,
            **environment,
        }
        for rank in range(ranks)
    ]


_warm: dict[tuple[Any, ...], Warm] = {}
"""The one that is at work: one has half a gigabyte."""


def warm(base: Path, backend: str, python: str, environment: dict[str, str]) -> Warm:
    """An interpreter with the imports of this backend, which has read at import what these ranks would have read."""
    given = {name: value for name, value in environment.items() if not name.startswith("PRIMUS_")}
    key = backend, python, tuple(sorted(given.items()))
    if key not in _warm:
        _close()
        home = base / "home"
        home.mkdir(exist_ok=True)
        _warm[key] = Warm(python, MODULES[backend], {"PATH": os.environ["PATH"], "HOME": str(home), **given})
    return _warm[key]


@pytest.fixture(scope="session", autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    _close()


def _close() -> None:
    while _warm:
        _warm.popitem()[1].close()


def runner(base: Path) -> Run:
    """Runs ranks to their end, each time in a new folder. What is not given is `tiny` on made-up data, on one rank.

    `directory` is that of an earlier run, to go on with it; `python` the interpreter of the backend. Ranks are forked
    from one that has imported what they need, but for those that are `fresh` or whose imports are the user's.
    """
    count = iter(range(1000))

    def run_ranks(
        model: Model | None = None,
        data: Data | None = None,
        ranks: int = 1,
        environment: dict[str, str] | None = None,
        options: Sequence[str] = (),
        *,
        backend: str = "torchtitan",
        python: str = sys.executable,
        args: dict[str, Any] | None = None,
        directory: Path | None = None,
        profile: tuple[int, int] | None = None,
        evaluate_only: bool = False,
        fresh: bool = False,
        **training: Any,
    ) -> Ended:
        directory = directory or base / f"run-{next(count)}"
        directory.mkdir(exist_ok=True)
        small, pretrain = tiny()
        content = job.rank_file(
            neutral.backend(backend, args=args or {}),
            model or small,
            data or neutral.data("mock"),
            dataclasses.replace(pretrain, **training),
            gpu=Gpu("auto", {}),
            profile=Profile(profile),
            evaluate_only=evaluate_only,
        )
        path = directory / "rank.json"
        path.write_text(json.dumps(content))
        environment = environment or {}
        arguments = [*options, str(RANK), backend, str(path)]
        if backend in MODULES and not (fresh or options or "PYTHONPATH" in environment):
            places = [
                {"environment": environ, "log": str(base / f"{directory.name}-{environ['RANK']}.log")}
                for environ in environments(directory, ranks, environment)
            ]
            codes = warm(base, backend, python, environment).run(arguments, directory, places, TIMEOUT)
            return Ended(codes, [Path(place["log"]).read_text() for place in places], directory)
        processes = start(directory, ranks, arguments, environment, python)
        try:
            logs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
        return Ended([process.returncode for process in processes], logs, directory)

    return run_ranks


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner(tmp_path)
