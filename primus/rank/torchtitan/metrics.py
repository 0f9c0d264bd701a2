"""TorchTitan's metrics, to the metrics file of the rank as well as to its log."""

import os
import time
from dataclasses import dataclass
from typing import Any

import torch
from torchtitan.components.metrics import MetricsProcessor, _get_metrics_rank
from torchtitan.tools import utils
from torchtitan.tools.logging import logger

from primus.rank.metrics import MetricsFile

_SAID = 10
"""TorchTitan's own line is in the log for one step in so many: the metrics file and the progress line have all."""


class Metrics(MetricsProcessor):
    """Writes what every step came to, from the one rank that has the loss."""

    @dataclass(kw_only=True, slots=True)
    class Config(MetricsProcessor.Config):
        """No more than the parent's."""

    def __init__(self, config: Config, *, pp_schedule: str = "1F1B", **rest: Any) -> None:
        super().__init__(config, pp_schedule=pp_schedule, **rest)
        writer = _get_metrics_rank(parallel_dims=self.parallel_dims, pp_schedule=pp_schedule)
        mine = torch.distributed.get_rank() == writer
        path = os.environ.get("PRIMUS_METRICS")
        self._file = MetricsFile(path) if path and mine else None

    def log(
        self,
        step: int,
        global_avg_loss: float,
        global_max_loss: float,
        grad_norm: float,
        extra_metrics: dict[str, Any] | None = None,
    ) -> None:
        """Called on every rank, with values over all ranks."""
        elapsed = time.perf_counter() - self.time_last_log
        tokens = self.ntokens_since_last_log
        memory = utils.device_module.memory_stats(self.device_memory_monitor.device)  # the parent resets the peak
        logger.disabled = step % _SAID != 0 and step != 1
        super().log(step, global_avg_loss, global_max_loss, grad_norm, extra_metrics)
        logger.disabled = False
        if self._file is not None:
            extra = extra_metrics or {}
            self._file.write(
                step,
                {
                    "loss": global_avg_loss,
                    "lr": next(value for name, value in extra.items() if name.startswith("lr/")),
                    "grad_norm": grad_norm,
                    "step_time": elapsed / self.config.log_freq,
                    "memory_peak": memory["reserved_bytes.all.peak"],
                    "tokens": int(extra["n_tokens_seen"]),
                    **self._rates(tokens, elapsed),
                },
            )

    def close(self) -> None:
        """Close the file, then whatever the parent has open."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _rates(self, tokens: int, elapsed: float) -> dict[str, float]:
        """Throughput over all ranks, of `tokens` that this rank took from its loader in `elapsed` seconds."""
        dims = self.parallel_dims
        per_second = tokens * dims.dp_replicate * dims.dp_shard / elapsed
        rates = {"tokens_per_second": per_second}
        if utils.device_type != "cpu":
            flops = self.num_flops_per_token * per_second / dims.world_size
            rates["tflops_per_gpu"] = flops / 1e12
            if not self.has_quantization and self._peak_is_known():
                rates["mfu"] = flops / self.gpu_peak_flops
        return rates

    def _peak_is_known(self) -> bool:
        # For a GPU that it does not know, TorchTitan 0.3.0 warns and takes an A100's peak.
        return self.gpu_peak_flops != 312e12 or "A100" in self.device_memory_monitor.device_name
