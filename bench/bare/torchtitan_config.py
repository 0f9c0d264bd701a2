"""TorchTitan as its own users start it, for `bench/training.py`: its flavors, its text loader, its `torchrun` command.

    torchrun --nproc_per_node 1 -m torchtitan.train --module torchtitan_config --config bare

`BARE` in the environment holds the settings as JSON. Nothing of Primus is imported.
"""

import json
import os

import torch
from datasets import load_dataset
from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.metrics import MetricsProcessor
from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw
from torchtitan.config import CompileConfig, ParallelismConfig, TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import DATASETS, HuggingFaceTextDataLoader
from torchtitan.models.common.config_utils import decoder_vocab_size
from torchtitan.models.llama3 import model_registry
from torchtitan.trainer import Trainer

_RECOMPUTED = {"none": None, "selective": SelectiveAC.Config(), "full": FullAC.Config()}


def bare() -> Trainer.Config:
    """The config that `--config bare` names."""
    settings = json.loads(os.environ["BARE"])
    if not hasattr(torch.distributed, "set_timeout"):  # torchtitan 0.3.0 calls it by the name of a newer PyTorch
        from torch.distributed.distributed_c10d import _set_pg_timeout

        vars(torch.distributed)["set_timeout"] = _set_pg_timeout
    DATASETS["bare"] = DatasetConfig(
        path="text",
        loader=lambda path: load_dataset("text", data_files=settings["files"], split="train", sample_by="document"),
        sample_processor=lambda sample: sample["text"],
    )
    spec = model_registry(settings["flavor"])
    world = int(os.environ["WORLD_SIZE"])
    # As in Primus: torch 2.13's fully_shard refuses what the newer default backend gives it.
    parallelism = ParallelismConfig(spmd_backend="partial_dtensor") if world > 1 else ParallelismConfig()
    return Trainer.Config(
        model_spec=spec,
        loss=ChunkedLossWrapper.Config(loss_fn=CrossEntropyLoss.Config(global_vocab_size=decoder_vocab_size(spec))),
        hf_assets_path=settings["tokenizer"],
        optimizer=default_adamw(lr=settings["lr"]),
        lr_scheduler=LRSchedulersContainer.Config(warmup_steps=settings["warmup"]),
        training=TrainingConfig(
            local_batch_size=settings["micro_batch"],
            seq_len=settings["sequence_length"],
            steps=settings["steps"],
        ),
        dataloader=HuggingFaceTextDataLoader.Config(dataset="bare"),
        metrics=MetricsProcessor.Config(log_freq=1, disable_color_printing=True),
        parallelism=parallelism,
        compile=CompileConfig(enable=settings["compile"]),
        activation_checkpoint=_RECOMPUTED[settings["activation_checkpointing"]],
    )
