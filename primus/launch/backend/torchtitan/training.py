"""The neutral training terms in those of TorchTitan 0.3, by the field names of `torchtitan.trainer.Trainer.Config`."""

from typing import Any

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Optimizer, Parallel, Schedule, Training
from primus.node.typed import Problem


def trainer(training: Training) -> dict[str, Any]:
    """`trainer` of rank.json.

    What depends on the device or on the number of ranks is left to the rank: `mixed_precision_param` is `auto` there,
    `activation_checkpoint` and `quantization` are names, and `local_batch_size` is one micro batch.
    """
    return {
        "training": {
            "steps": training.steps,
            "seq_len": training.sequence_length,
            "local_batch_size": training.micro_batch,
            "global_batch_size": training.global_batch or -1,
            "max_norm": training.clip_grad_norm,
            "mixed_precision_param": _PRECISION[training.precision],
        },
        "optimizer": _optimizer(training.optimizer),
        "lr_scheduler": _schedule(training.schedule, training),
        "parallelism": _parallelism(training.parallel, training.micro_batch),
        "activation_checkpoint": training.activation_checkpointing,
        "compile": {"enable": training.compile},
        "quantization": "float8" if training.precision == "fp8" else None,
        "debug": {"seed": training.seed},
    }


def lacks(model: Model, training: Training, world_size: int | None) -> list[Problem]:
    """The combinations that TorchTitan refuses, by the rules of its own code: no job is needed to know them."""
    return [*_pipeline(model, training, world_size), *_sequence(training), *_experts(model, training.parallel)]


BLOCK = 128  # positions of a block of flex attention's mask
_PRECISION = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp8": "bfloat16"}


def _optimizer(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "optimizer_name": "AdamW",
        "optimizer_kwargs": {
            "lr": optimizer.lr,
            "betas": list(optimizer.betas),
            "eps": optimizer.epsilon,
            "weight_decay": optimizer.weight_decay,
        },
    }


def _schedule(schedule: Schedule, training: Training) -> dict[str, Any]:
    constant = schedule.name == "constant"
    return {
        "total_steps": training.schedule_steps,
        "warmup_steps": training.warmup_steps,
        "decay_ratio": 0.0 if constant else None,  # None: decay from the end of the warm-up to the last step
        "decay_type": "linear" if constant else schedule.name,
        "min_lr_factor": schedule.min_lr_ratio,
    }


def _parallelism(parallel: Parallel, micro_batch: int) -> dict[str, Any]:
    return {
        "data_parallel_replicate_degree": parallel.replicate,
        "data_parallel_shard_degree": -1,
        "tensor_parallel_degree": parallel.tensor,
        "enable_sequence_parallel": parallel.sequence is not False,
        "pipeline_parallel_degree": parallel.pipeline,
        "pipeline_parallel_microbatch_size": micro_batch,
        "context_parallel_degree": parallel.context,
        "expert_parallel_degree": parallel.expert,
    }


def _pipeline(model: Model, training: Training, world_size: int | None) -> list[Problem]:
    """`Decoder.update_from_config` and `_generate_llm_fqn_per_model_part` of torchtitan 0.3.0; torch's 1F1B."""
    key, stages, problems = "task.parallel.pipeline", training.parallel.pipeline, []
    if stages > 1 and model.tied_embeddings:
        problems.append(Problem(key, "TorchTitan has no pipeline for tied embeddings: model.tied_embeddings is true"))
    if stages > 1 and training.global_batch is None:
        problems.append(
            Problem(
                "task.global_batch",
                f"null is one micro batch per rank, and a pipeline of {stages} stages needs {stages}: "
                f"give {stages} x task.micro_batch {training.micro_batch} x data-parallel ranks, or more",
            )
        )
    if stages > 1 and training.global_batch and world_size:
        readers = max(1, world_size // training.parallel.per_sequence)
        micro_batches = training.global_batch // readers // training.micro_batch
        if micro_batches < stages:
            problems.append(
                Problem(
                    "task.global_batch",
                    f"{training.global_batch} is {micro_batches} micro batches for each of {readers} data-parallel "
                    f"ranks, and a pipeline of {stages} stages needs {stages}",
                )
            )
    if stages > model.layers + 2:  # the embedding and the head count as a layer each
        problems.append(Problem(key, f"{stages} stages are more than model.layers {model.layers} + 2"))
    return problems


def _sequence(training: Training) -> list[Problem]:
    """`_create_cp_block_mask` of torch 2.13: context-parallel ranks take whole blocks of flex attention's mask."""
    length, context = training.sequence_length, training.parallel.context
    if context == 1 or length % (BLOCK * context) == 0:
        return []
    return [Problem("task.sequence_length", f"{length} is not a multiple of {BLOCK} x context {context}")]


def _experts(model: Model, parallel: Parallel) -> list[Problem]:
    key, degree = "task.parallel.expert", parallel.expert
    if degree == 1:
        return []
    if model.moe is None:
        return [Problem(key, f"{degree}, but {model.name} has no experts (model.moe is null)")]
    if model.moe.experts % degree:
        return [Problem(key, f"{degree} does not divide model.moe.experts {model.moe.experts}")]
    return []
