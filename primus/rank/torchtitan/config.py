"""From `rank.json` to the config of TorchTitan's Trainer."""

import math
import os
from pathlib import Path
from typing import Any

import torch
from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.optimizer import OptimizersContainer, ParamGroupConfig
from torchtitan.config import CompileConfig, DebugConfig, ParallelismConfig, TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC
from torchtitan.tools.profiler import Profiler

from primus.node.typed import read
from primus.rank import tokenizer
from primus.rank.problems import Refused
from primus.rank.torchtitan import checkpoints, data, quantization
from primus.rank.torchtitan.evaluation import Evaluation
from primus.rank.torchtitan.metrics import Metrics
from primus.rank.torchtitan.model import Dimensions, model_spec
from primus.rank.torchtitan.schedule import Schedule
from primus.rank.torchtitan.training import Training

_LOSS_CHUNKS = 8  # TorchTitan's own default
_RECOMPUTATION = {"none": None, "selective": SelectiveAC.Config, "full": FullAC.Config}


def trainer_config(rank: dict[str, Any]) -> Training.Config:
    """The config of the trainer. Raises Refused when a file is missing or something does not fit."""
    options = rank["trainer"]
    dimensions = read(Dimensions, rank["model"], "model")
    spec = quantization.quantize(model_spec(dimensions), options["quantization"], options["compile"]["enable"])
    assets = tokenizer.folder(rank["data"]["tokenizer"])
    _check_vocabulary(assets, dimensions.vocab_size)
    parallelism = ParallelismConfig(**options["parallelism"])
    training = _training(options["training"], parallelism)
    reading = data.Reading(options["debug"]["seed"], training.seq_len, _readers(parallelism))
    recomputation = _RECOMPUTATION[options["activation_checkpoint"]]
    return Training.Config(
        model_spec=spec,
        loss=ChunkedLossWrapper.Config(
            num_chunks=math.gcd(_LOSS_CHUNKS, training.seq_len // parallelism.context_parallel_degree),
            loss_fn=CrossEntropyLoss.Config(global_vocab_size=dimensions.vocab_size),
        ),
        hf_assets_path=str(assets),
        dump_folder=os.path.join(os.environ["PRIMUS_RUN_DIR"], "torchtitan"),
        training=training,
        optimizer=OptimizersContainer.Config(param_groups=[ParamGroupConfig(pattern=".*", **options["optimizer"])]),
        lr_scheduler=Schedule(**options["lr_scheduler"]),
        parallelism=parallelism,
        activation_checkpoint=recomputation and recomputation(),
        compile=CompileConfig(**options["compile"]),
        debug=DebugConfig(**options["debug"]),
        dataloader=data.dataloader(rank["data"], reading),
        validator=_validator(rank, reading),
        metrics=_metrics(rank["throughput"], options["quantization"], training),
        checkpoint=checkpoints.config(rank),
        profiler=_profiler(rank["profile"]["steps"]),
    )


def _check_vocabulary(folder: Path, vocabulary: int) -> None:
    highest = max(tokenizer.vocabulary(folder).values())
    if highest >= vocabulary:
        raise Refused(f"model.vocabulary: {vocabulary} is too small for {folder}, which needs at least {highest + 1}")


def _training(options: dict[str, Any], parallelism: ParallelismConfig) -> TrainingConfig:
    """With what depends on the device and on the number of ranks. Raises Refused for too small a global batch.

    A pipeline takes all micro batches of a step at once: TorchTitan's `local_batch_size` is then the rank's share of
    the global batch, and `pipeline_parallel_microbatch_size` the micro batch.
    """
    if options["mixed_precision_param"] == "auto":
        options = options | {"mixed_precision_param": "bfloat16" if torch.cuda.is_available() else "float32"}
    stages, micro_batch = parallelism.pipeline_parallel_degree, options["local_batch_size"]
    if stages > 1:
        batch, readers = options["global_batch_size"], _readers(parallelism)
        share = batch // readers
        if share < stages * micro_batch:  # Schedule1F1B of torch 2.13
            raise Refused(
                f"task.global_batch: {batch} is {share // micro_batch} micro batches for each of {readers} "
                f"data-parallel ranks, and a pipeline of {stages} stages needs {stages}"
            )
        options = options | {"local_batch_size": share}
    # Trainer.Config refuses CUDA graphs with pipelines, and with experts that are spread over ranks.
    spread = stages > 1 or parallelism.expert_parallel_degree > 1
    return TrainingConfig(**options, disable_cuda_graphs=spread)


def _readers(parallelism: ParallelismConfig) -> int:
    """The number of data-parallel ranks."""
    per_sequence: int = (
        parallelism.tensor_parallel_degree * parallelism.pipeline_parallel_degree * parallelism.context_parallel_degree
    )
    return int(os.environ["WORLD_SIZE"]) // per_sequence


def _validator(rank: dict[str, Any], reading: data.Reading) -> Evaluation.Config:
    evaluation = rank["evaluation"]
    if evaluation["interval"] is None and not evaluation["only"]:
        return Evaluation.Config(enable=False)
    return Evaluation.Config(
        enable=True,
        freq=evaluation["interval"] or 1,
        steps=evaluation["steps"],
        dataloader=data.dataloader(rank["data"], reading, "validation"),
        _last=rank["trainer"]["training"]["steps"],
    )


def _metrics(throughput: dict[str, Any], quantized: str | None, training: TrainingConfig) -> Metrics.Config:
    precision = "fp8" if quantized else {"bfloat16": "bf16", "float32": "fp32"}[training.mixed_precision_param]
    return Metrics.Config(log_freq=1, disable_color_printing=True, _throughput=throughput, _precision=precision)


def _profiler(steps: list[int] | None) -> Profiler.Config:
    """TorchTitan's profiler for one stretch of steps (first and last, from 1), with up to 3 steps to warm up."""
    if steps is None:
        return Profiler.Config()
    first, last = steps
    warmup = min(3, first - 1)
    active = last - first + 1
    return Profiler.Config(
        enable_profiling=True,
        save_traces_folder=str(Path(os.environ["PRIMUS_RUN_DIR"]) / "profile"),
        profile_freq=warmup + active,
        profiler_warmup=warmup,
        profiler_active=active,
        profiler_skip_first=first - 1 - warmup,
        profiler_repeat=1,
    )
