"""Ranks of benchmarks, as the node agent starts them; those of PyTorch forked from an interpreter that has it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from primus.launch.config.request import Gpu
from primus.launch.results import rows
from primus.launch.task.benchmark import job

from ..conftest import RANK, TIMEOUT, environments, start, warm


@dataclass(frozen=True)
class Measured:
    """How the ranks ended, what they printed, and the rows they left, by kind."""

    codes: list[int]
    logs: list[str]
    rows: dict[str, list[dict[str, Any]]]
    progress: list[dict[str, Any]]


Measure = Callable[..., Measured]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Run a worker to its end: `measure("benchmark.gemm", {...})`; with another `python`, from its first import."""

    def run(worker: str, content: dict[str, Any], ranks: int = 1, python: str | None = None) -> Measured:
        rank = {"framework": "torch", "gpus": job.published(Gpu("auto", {})), "path": None, **content}
        path = tmp_path / "rank.json"
        path.write_text(json.dumps(rank))
        arguments = [str(RANK), worker, str(path)]
        if python:
            processes = start(tmp_path, ranks, arguments, {}, python)
            logs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
            codes = [process.returncode for process in processes]
        else:
            each = environments(tmp_path, ranks, {"OMP_NUM_THREADS": "1"})
            places = [{"environment": env, "log": str(tmp_path / f"log-{n}")} for n, env in enumerate(each)]
            codes = warm(tmp_path, "torchtitan", sys.executable, {}).run(arguments, tmp_path, places, TIMEOUT)
            logs = [Path(place["log"]).read_text() for place in places]
        metrics = tmp_path / "metrics/rank-0.jsonl"
        lines = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.is_file() else []
        return Measured(codes, logs, rows.read(tmp_path), lines)

    return run
