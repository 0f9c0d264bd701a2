"""Runs for reports: run directories as launch side and agents leave them, with every kind of metric."""

import json
import math
from pathlib import Path
from typing import Any

from primus.launch.outcome import write_result
from primus.node import rundir

from ..record.run_directories import START, append, end_nodes, make_run

STARTED = START - 3.0
"""When a job was started: its first step ends 3.5 s later."""


def recorded(
    directory: Path,
    *,
    overrides: tuple[str, ...] = (),
    status: str = "finished",
    sweep: str | None = None,
    steps: int = 20,
    speed: float = 1000.0,
    fall: float = 0.1,
    backend: str = "torchtitan",
    config: dict[str, Any] | None = None,
) -> Path:
    """A run that is over, with training metrics, an evaluation every ten steps, and samples of its host."""
    composed = {"experiment": {"name": "exp"}, "backend": {"name": backend}, **(config or {})}
    make_run(directory, sweep=sweep, overrides=overrides, config=composed, backend=backend)
    for step in range(1, steps + 1):
        write(directory, step, training(step, speed, fall))
        if step % 10 == 0:
            loss = 4.1 * math.exp(-fall * step)
            write(directory, step, {"validation_loss": loss, "validation_perplexity": math.exp(loss)})
    for n in range(12):
        gpus = {f"gpu{g}_utilization_percent": 90.0 + g for g in range(2)}
        sample = {"time": START + 2 * n, "cpu_percent": 50.0 + n, "memory_used": 2**30, **gpus}
        append(directory / rundir.host_metrics(0), json.dumps(sample) + "\n")
    end_nodes(directory, status=status)
    write_result(directory, STARTED, interrupted=False)
    return directory


def training(step: int, speed: float, fall: float) -> dict[str, float]:
    """What a worker says of a step."""
    slow = 0.1 if step == 1 else 1.0
    return {
        "loss": 4.0 * math.exp(-fall * step),
        "lr": 0.003,
        "grad_norm": 1.0 + 1 / step,
        "step_time": 0.5,
        "tokens": 1024.0 * step,
        "tokens_per_second": speed * slow,
        "mfu": speed * slow / 40_000,
        "memory_peak": 2.0**31,
    }


def write(directory: Path, step: int, values: dict[str, float]) -> None:
    """One line of the metrics of rank 0."""
    line = {"time": START + step / 2, "step": step, **values}
    append(directory / rundir.rank_metrics(0), json.dumps(line) + "\n")
