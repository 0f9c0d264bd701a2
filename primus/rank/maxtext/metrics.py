"""MaxText's own metric logger, with a line in the metrics file for every step."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from absl import logging
from maxtext.common import metric_logger

from primus.rank.maxtext import devices
from primus.rank.metrics import MetricsFile
from primus.rank.throughput import Throughput

_SAID = 10  # every so-many-th step has a line in the log
_NAMES = {
    "loss": "learning/lm_loss",  # without what balances experts
    "grad_norm": "learning/raw_grad_norm",  # before clipping
}

_Step = tuple[int, float, Any, dict[str, Any]]  # its number, when it began, its learning rate, MaxText's values


def install(rank: dict[str, Any], config: Any) -> "Lines":
    """Have MaxText log through `Metrics`; returns what writes the lines."""
    lines = Lines(rank, config)
    metric_logger.MetricLogger = partial(Metrics, lines)
    return lines


class Lines:
    """Waits for the steps in a thread of its own and writes their lines.

    A step is done when the device has its loss, which is after the loop has gone on to the next: MaxText's own times
    are those between two starts. Here neither the loop waits nor the line.
    """

    def __init__(self, rank: dict[str, Any], config: Any) -> None:
        path = os.environ.get("PRIMUS_METRICS")
        self._file = MetricsFile(path) if path and jax.process_index() == 0 else None
        self._tokens = config.global_batch_size_to_train_on * config.max_target_length
        precision = {"float32": "fp32", "bfloat16": "bf16"}[str(config.dtype)]
        self._throughput = Throughput(
            rank["throughput"], jax.process_count(), devices.name(), "fp8" if config.quantization else precision
        )
        self.schedule: Callable[[int], Any] = lambda step: math.nan  # of the learning rate, by steps from 0
        self._number = 0
        self._rate: Any = math.nan
        self._begun = self._ended = time.perf_counter()
        self._steps: queue.Queue[_Step | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write_steps, name="metrics", daemon=True)
        if self._file is not None:
            self._thread.start()

    def begin(self, number: int) -> None:
        """A step begins now."""
        self._number = number
        self._begun = time.perf_counter()
        self._rate = self.schedule(number - 1)  # an operation of the device too: it must not queue behind the step

    def step(self, scalars: dict[str, Any]) -> None:
        """The step is on its way to the device, its values with it."""
        if self._file is not None:
            self._steps.put((self._number, self._begun, self._rate, scalars))

    def validation(self, number: int, loss: float) -> None:
        """The mean loss of held-out data after this step."""
        if self._file is not None:
            perplexity = math.exp(loss) if loss < 700 else math.inf
            self._file.write(number, {"validation_loss": loss, "validation_perplexity": perplexity})

    def close(self) -> None:
        """Wait for the last line."""
        if self._file is not None and self._thread.is_alive():
            self._steps.put(None)
            self._thread.join()
            self._file.close()

    def _write_steps(self) -> None:
        while (item := self._steps.get()) is not None:
            try:
                self._write(*item)
            except Exception as error:  # the loop meets the same one, with its traceback
                logging.error("no metrics of step %d: %s", item[0], error)
                return

    def _write(self, number: int, begun: float, rate: Any, scalars: dict[str, Any]) -> None:
        assert self._file is not None
        values = {name: float(scalars[own]) for name, own in _NAMES.items() if own in scalars} | {"lr": float(rate)}
        now = time.perf_counter()
        seconds = now - max(begun, self._ended)  # saving and evaluation lie between
        self._ended = now
        self._file.write(
            number,
            {
                **values,
                "step_time": seconds,
                "tokens": number * self._tokens,
                **self._throughput.rates(self._tokens, seconds),
                "memory_peak": devices.memory_peak(),
            },
        )


class Metrics(metric_logger.MetricLogger):
    """Called by MaxText on every rank, steps from 0."""

    def __init__(self, lines: Lines, config: Any, learning_rate_schedule: Any, start_step: int = 0) -> None:
        super().__init__(config, learning_rate_schedule, start_step=start_step)
        self._lines = lines
        lines.schedule = learning_rate_schedule

    def write_metrics(self, metrics: Any, step: int, metric_type: str = "train") -> None:
        super().write_metrics(metrics, step, metric_type)
        if metric_type == "eval":
            self._lines.validation(step + 1, float(metrics["scalar"]["eval/avg_loss"]))

    def log_metrics(self, metrics: Any, step: int, metric_type: str) -> None:
        number = step + 1
        if metric_type == "eval" or (metric_type == "train" and (number == 1 or number % _SAID == 0)):
            super().log_metrics(metrics, number, metric_type)
