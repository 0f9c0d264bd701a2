"""TorchTitan's metrics, to the metrics file of the rank as well as to its log."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torchtitan.components.metrics import MetricsProcessor, _get_metrics_rank
from torchtitan.tools import utils
from torchtitan.tools.logging import logger

from primus.rank.metrics import MetricsFile
from primus.rank.throughput import Throughput

_SAID = 10
"""TorchTitan's own line is in the log for one step in so many: the metrics file and the progress line have all."""


class Metrics(MetricsProcessor):
    """Writes what every step came to, from the one rank that has the loss."""

    @dataclass(kw_only=True, slots=True)
    class Config(MetricsProcessor.Config):
        """`_throughput` is that of rank.json. With the underscore they are no options of TorchTitan's."""

        _throughput: dict[str, Any] = field(default_factory=dict)
        _precision: str = "bf16"

    def __init__(self, config: Config, *, pp_schedule: str = "1F1B", **rest: Any) -> None:
        super().__init__(config, pp_schedule=pp_schedule, **rest)
        writer = _get_metrics_rank(parallel_dims=self.parallel_dims, pp_schedule=pp_schedule)
        mine = torch.distributed.get_rank() == writer
        self._speaks = mine or not self.parallel_dims.pp_enabled  # other stages of a pipeline would say a loss of -1
        path = os.environ.get("PRIMUS_METRICS")
        self._file = MetricsFile(path) if path and mine else None
        device = self.device_memory_monitor.device_name
        self._throughput = Throughput(config._throughput, self.parallel_dims.world_size, device, config._precision)
        self._steps = 0  # since the last line

    def should_log(self, step: int) -> bool:
        """The first thing that a training step asks: the clock starts here, after a checkpoint or an evaluation."""
        if self._steps == 0:
            self.time_last_log = time.perf_counter()
        self._steps += 1
        return bool(super().should_log(step))

    def log(
        self,
        step: int,
        global_avg_loss: float,
        global_max_loss: float,
        grad_norm: float,
        extra_metrics: dict[str, Any] | None = None,
    ) -> None:
        """Called on every rank, with values over all ranks."""
        elapsed, steps = time.perf_counter() - self.time_last_log, self._steps
        dims = self.parallel_dims
        tokens = self.ntokens_since_last_log * dims.dp_replicate * dims.dp_shard
        memory = utils.device_module.memory_stats(self.device_memory_monitor.device)  # the parent resets the peak
        with self._saying(step % _SAID == 0 or step == 1):
            super().log(step, global_avg_loss, global_max_loss, grad_norm, extra_metrics)
        self._steps = 0
        if self._file is not None:
            extra = extra_metrics or {}
            self._file.write(
                step,
                {
                    "loss": global_avg_loss,
                    "lr": next(value for name, value in extra.items() if name.startswith("lr/")),
                    "grad_norm": grad_norm,
                    "step_time": elapsed / steps,
                    "memory_peak": memory["reserved_bytes.all.peak"],
                    "tokens": int(extra["n_tokens_seen"]),
                    **self._throughput.rates(tokens, elapsed),
                },
            )

    def log_validation(self, loss: float, step: int, extra_metrics: dict[str, Any] | None = None) -> None:
        """Called on every rank, with the mean over all of them."""
        with self._saying(True):
            super().log_validation(loss, step, extra_metrics)
        if self._file is not None:
            perplexity = math.exp(loss) if loss < 700 else math.inf  # e to the 710th is beyond a float
            self._file.write(step, {"validation_loss": loss, "validation_perplexity": perplexity})

    @contextmanager
    def _saying(self, wanted: bool) -> Iterator[None]:
        logger.disabled = not (wanted and self._speaks)
        yield
        logger.disabled = False

    def close(self) -> None:
        """Close the file, then whatever the parent has open."""
        if self._file is not None:
            self._file.close()
        super().close()
