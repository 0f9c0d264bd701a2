"""One rank of TorchTitan: its own Trainer from start to end."""

import importlib.util
import logging
import sys
import time
from typing import Any

from primus.rank.problems import UNFIT, Refused


def run(rank: dict[str, Any]) -> None:
    """Train as `rank` says, the content of `rank.json`. Raises Refused when this environment or a file does not fit."""
    for package in ("torch", "torchtitan"):
        if importlib.util.find_spec(package) is None:
            raise Refused(
                f"{sys.executable} cannot import {package}. Mend it with: pip install 'primus[torchtitan]'", UNFIT
            )
    import torch

    on_cpu = not torch.cuda.is_available()
    from primus.rank.torchtitan import compatibility, cpu

    compatibility.name_set_timeout()
    compatibility.ignore_deprecation()
    if on_cpu:
        cpu.before_import()
    from torchtitan.tools.logging import init_logger, logger

    from primus.rank.torchtitan.config import trainer_config

    init_logger()
    for handler in logger.handlers:  # the node agent puts time, node and rank before every line
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    config = trainer_config(rank)
    compatibility.take_dtensor(config)
    if on_cpu:
        cpu.adapt(config)
    _train(config)


def _train(config: Any) -> None:
    import torch

    trainer = config.build()
    try:
        trainer.metrics_processor.time_last_log = time.perf_counter()  # else the first step's time has the set-up in it
        trainer.train()
    finally:
        trainer.close()
    torch.distributed.destroy_process_group()
