"""From `rank.json` to a `torchtitan.trainer.Trainer.Config`."""

import os
from pathlib import Path
from typing import Any

import torch
from torchtitan.components.checkpointer import CheckpointManager
from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer, ParamGroupConfig
from torchtitan.config import DebugConfig, ParallelismConfig, TrainingConfig
from torchtitan.trainer import Trainer

from primus.node.typed import read
from primus.rank import tokenizer
from primus.rank.problems import Refused
from primus.rank.torchtitan import data
from primus.rank.torchtitan.metrics import Metrics
from primus.rank.torchtitan.model import Dimensions, model_spec


def trainer_config(rank: dict[str, Any]) -> Trainer.Config:
    """The config of TorchTitan's Trainer. Raises Refused when a file is missing or the tokenizer does not fit."""
    dimensions = read(Dimensions, rank["model"], "model")
    spec = model_spec(dimensions)
    options = rank["trainer"]
    assets = tokenizer.folder(rank["data"]["tokenizer"])
    _check_vocabulary(assets, dimensions.vocab_size)
    parallelism = ParallelismConfig(**options["parallelism"])
    reading = data.Reading(
        seed=options["debug"]["seed"],
        sequence_length=options["training"]["seq_len"],
        readers=int(os.environ["WORLD_SIZE"]) // parallelism.tensor_parallel_degree,
    )
    return Trainer.Config(
        model_spec=spec,
        loss=ChunkedLossWrapper.Config(loss_fn=CrossEntropyLoss.Config(global_vocab_size=dimensions.vocab_size)),
        hf_assets_path=str(assets),
        dump_folder=os.path.join(os.environ["PRIMUS_RUN_DIR"], "torchtitan"),
        training=TrainingConfig(**_with_precision(options["training"])),
        optimizer=OptimizersContainer.Config(param_groups=[ParamGroupConfig(pattern=".*", **options["optimizer"])]),
        lr_scheduler=LRSchedulersContainer.Config(**options["lr_scheduler"]),
        parallelism=parallelism,
        debug=DebugConfig(**options["debug"]),
        dataloader=data.dataloader(rank["data"], reading),
        metrics=Metrics.Config(log_freq=1, disable_color_printing=True),
        checkpoint=CheckpointManager.Config(enable=False, initial_load_model_only=False),
    )


def _check_vocabulary(folder: Path, vocabulary: int) -> None:
    highest = max(tokenizer.vocabulary(folder).values())
    if highest >= vocabulary:
        raise Refused(f"model.vocabulary: {vocabulary} is too small for {folder}, which needs at least {highest + 1}")


def _with_precision(training: dict[str, Any]) -> dict[str, Any]:
    if training["mixed_precision_param"] != "auto":
        return training
    return {**training, "mixed_precision_param": "bfloat16" if torch.cuda.is_available() else "float32"}
