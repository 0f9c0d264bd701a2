"""A rank of `task=benchmark/train`: that of the training itself, then what its steps came to."""

import importlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from primus.rank.benchmark.timing import percentile
from primus.rank.problems import UNFIT, Refused
from primus.rank.results import Results


def run(rank: dict[str, Any]) -> None:
    """Train as the backend does; the one rank that has the metrics of the job appends the row. Raises Refused."""
    benchmark = rank.pop("benchmark")
    path = Path(os.environ["PRIMUS_METRICS"])
    before = path.stat().st_size if path.is_file() else 0  # of an earlier start of this run
    importlib.import_module(f"primus.rank.{benchmark['backend']}.worker").run(rank)
    steps = _steps(path, before)
    if not steps:
        return  # another rank has the loss
    counted = [step for step in steps if step["step"] > benchmark["warmup"]]
    if not counted:
        raise Refused(f"it ended after {len(steps)} steps, and {benchmark['warmup']} do not count", UNFIT)
    Results().row("train", **benchmark["row"], ranks=int(os.environ["WORLD_SIZE"]), **row(counted))


def row(steps: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """What steps came to: the rates of the median, the spread of their times (ms), the highest memory (GiB), MFU in %.

    MFU by primus.launch.throughput.
    """
    every = list(steps)

    def values(name: str, scale: float = 1.0) -> list[float]:
        return [scale * float(step[name]) for step in every if step.get(name) is not None]

    def median(name: str, scale: float = 1.0) -> float | None:
        return percentile(found, 0.5) if (found := values(name, scale)) else None

    times = values("step_time", 1e3)
    memory = values("memory_peak", 1 / 2**30)
    return {
        "tokens_per_second": median("tokens_per_second"),
        "tokens_per_second_per_device": median("tokens_per_second_per_device"),
        "mfu": median("mfu", 100.0),
        "step_time_p50": percentile(times, 0.5),
        "step_time_p95": percentile(times, 0.95),
        "step_time_min": min(times),
        "step_time_max": max(times),
        "memory_peak": max(memory) if memory else None,
        "loss": float(every[-1]["loss"]),
        "steps": len(every),
    }


def _steps(path: Path, start: int) -> list[dict[str, Any]]:
    """The lines with a step's time that this start has written."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            lines = [json.loads(line) for line in file]
    except FileNotFoundError:
        return []
    return [line for line in lines if "step_time" in line and "loss" in line]
