"""What every step came to, taken from Megatron's own functions as it calls them, never from what it prints."""

import functools
import math
import os
import resource
import time
from argparse import Namespace
from typing import Any

import torch
from megatron.core.optimizer_param_scheduler import get_canonical_lr_for_logging
from megatron.training import get_args, training

from primus.rank.metrics import MetricsFile
from primus.rank.throughput import Throughput

LOSS = "lm loss"  # by the name that the loss function gives it


def file(args: Namespace) -> MetricsFile | None:
    """The metrics file, in the one rank that writes it: the first that has the loss, on the last pipeline stage."""
    path = os.environ.get("PRIMUS_METRICS")
    stage = args.world_size // args.pipeline_model_parallel_size
    return MetricsFile(path) if path and args.rank == args.world_size - stage else None


def precision(args: Namespace) -> str:
    """By the name that peaks go by."""
    return "fp8" if args.fp8 else "bf16" if args.bf16 else "fp32"


class Steps:
    """Wraps `train_step` and `training_log` of `megatron.training.training`, which `train` looks up there."""

    def __init__(self, file: MetricsFile | None, throughput: Throughput) -> None:
        self._file = file
        self._throughput = throughput
        self._began = 0.0
        self._lr: float | None = None

    def install(self) -> None:
        """For good: a rank trains once."""
        training.train_step = self._around_step(training.train_step)
        training.training_log = self._before_log(training.training_log)

    def _around_step(self, train_step: Any) -> Any:
        @functools.wraps(train_step)
        def step(forward: Any, data: Any, model: Any, optimizer: Any, *rest: Any, **named: Any) -> Any:
            self._began = time.perf_counter()
            self._lr = get_canonical_lr_for_logging(optimizer.param_groups)  # afterwards it is that of the next step
            return train_step(forward, data, model, optimizer, *rest, **named)

        return step

    def _before_log(self, training_log: Any) -> Any:
        @functools.wraps(training_log)
        def log(losses: Any, total: Any, lr: Any, step: int, scale: Any, report: Any, skipped: Any, norm: Any,
                *rest: Any, **named: Any) -> Any:  # fmt: skip # one call, as Megatron has it
            if self._file is not None and losses:
                self._write(self._file, step, float(losses[LOSS]), norm)
            return training_log(losses, total, lr, step, scale, report, skipped, norm, *rest, **named)

        return log

    def _write(self, file: MetricsFile, step: int, loss: float, grad_norm: float | None) -> None:
        args = get_args()
        elapsed = time.perf_counter() - self._began  # the loss is a number now: the device is done with the step
        file.write(
            step,
            {
                "loss": loss,
                "lr": self._lr if self._lr is not None else math.nan,
                "grad_norm": float(grad_norm) if grad_norm is not None else math.nan,
                "step_time": elapsed,
                "memory_peak": _memory_peak(),
                "tokens": args.consumed_train_samples * args.seq_length,
                **self._throughput.rates(args.global_batch_size * args.seq_length, elapsed),
            },
        )


def _memory_peak() -> int:
    """Bytes: of the device as PyTorch reserved it, on a CPU of the whole process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
