"""A trace of some training steps by PyTorch's profiler."""

import functools
import os
from pathlib import Path
from typing import Any

import torch
from megatron.training import get_args, training


def install(steps: list[int]) -> None:
    """Wrap `train_step` of `megatron.training.training`: the steps from the first to the last go into one trace.

    Megatron's own option writes none when the last step to trace is the last of the training.
    """
    first, last = steps
    train_step = training.train_step
    profiler = torch.profiler.profile()

    tracing = False

    @functools.wraps(train_step)
    def step(*arguments: Any, iteration: int, **named: Any) -> Any:
        nonlocal tracing
        if iteration + 1 == first:
            profiler.start()
            tracing = True
        result = train_step(*arguments, iteration=iteration, **named)
        if iteration + 1 == last and tracing:  # a resumed training may have begun after the first
            profiler.stop()
            profiler.export_chrome_trace(str(_path()))
        return result

    training.train_step = step


def _path() -> Path:
    folder = Path(os.environ["PRIMUS_RUN_DIR"]) / "profile"
    folder.mkdir(exist_ok=True)
    return folder / f"rank-{get_args().rank}.json.gz"
