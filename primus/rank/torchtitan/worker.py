"""One rank of TorchTitan: its own Trainer from start to end."""

import importlib.util
import logging
import os
import sys
from typing import Any

from primus.rank.problems import UNFIT, Refused
from primus.rank.progress import beat

ENDS_AT_ONCE = True
"""Daemon threads of torch 2.13 that are in C++ when Python takes itself apart may abort a rank that has done all its
work ("terminate called without an active exception"): seen in one of some hundred ends of two ranks. Can go when they
are ended by `destroy_process_group`."""


def run(rank: dict[str, Any]) -> None:
    """Train or evaluate as `rank` says, the content of `rank.json`. Raises Refused when something does not fit."""
    _need_packages()
    beat("importing TorchTitan")
    import torch

    from primus.rank.torchtitan import compatibility, cpu

    on_cpu = not torch.cuda.is_available()
    compatibility.before_import()
    if on_cpu:
        cpu.before_import()
    from primus.rank.torchtitan.arguments import overlay
    from primus.rank.torchtitan.config import trainer_config

    _use_its_log()
    beat("reading the data set")
    config = trainer_config(rank)
    compatibility.adapt(config)
    if on_cpu:
        cpu.adapt(config)
    overlay(config, rank["args"])
    _work(config, evaluate_only=rank["evaluation"]["only"])


def _need_packages() -> None:
    for package in ("torch", "torchtitan"):
        if importlib.util.find_spec(package) is None:
            raise Refused(
                f"{sys.executable} cannot import {package}. Mend it with: pip install 'primus[torchtitan]'", UNFIT
            )


def _use_its_log() -> None:
    from torchtitan.tools.logging import init_logger, logger

    init_logger()
    # TorchTitan warns of ranks that its own starter does not show; here each rank has a log.
    os.environ["LOG_RANK"] = ",".join(str(rank) for rank in range(int(os.environ["WORLD_SIZE"])))
    for handler in logger.handlers:  # the node agent puts time, node and rank before every line
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))


def _work(config: Any, *, evaluate_only: bool) -> None:
    import torch

    beat("building the model")
    trainer = config.build()
    beat("before the first step")
    try:
        if evaluate_only:
            trainer.checkpointer.load()
            trainer.validator.validate(trainer.model_parts, trainer.checkpointer.loaded_step)
        else:
            trainer.train()
    finally:
        trainer.close()
    torch.distributed.barrier()  # rank 0 has the store of all, and the others may be evaluating or saving yet
    torch.distributed.destroy_process_group()
