"""The training by MaxText's own parameters (configs/base.yml of 0.2.5), and what they cannot say."""

from collections.abc import Iterator
from typing import Any

from primus.launch.config.terms.training import Parallel, Training
from primus.node.typed import Problem

_DTYPE = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp8": "bfloat16"}

# What is kept of a layer's forward pass. MaxText reads "none" as "keep nothing": the rank mends that.
_KEPT = {"none": "none", "selective": "minimal_with_context", "full": "full"}


def options(training: Training) -> dict[str, Any]:
    """MaxText's parameters, but for those that depend on the number of ranks and on the device."""
    return {
        "steps": training.steps,
        "max_target_length": training.sequence_length,
        "init_weights_seed": training.seed,
        "data_shuffle_seed": training.seed,
        "gradient_clipping_threshold": training.clip_grad_norm,
        "dtype": _DTYPE[training.precision],
        "weight_dtype": "float32",
        "remat_policy": _KEPT[training.activation_checkpointing],
        **_optimizer(training),
        **_schedule(training),
        **_parallel(training.parallel),
    }


def lacks(training: Training, world_size: int | None) -> list[Problem]:
    """What MaxText cannot do. It compiles whatever `task.compile` says, as all of JAX does."""
    parallel = training.parallel
    together = parallel.tensor * parallel.context
    found = []
    if parallel.pipeline == 1 and training.micro_batch % together:
        found.append(
            Problem(
                "task.micro_batch",
                f"MaxText deals every batch out to all ranks: {training.micro_batch} is not a multiple of "
                f"tensor {parallel.tensor} x context {parallel.context}",
            )
        )
    if parallel.pipeline > 1 and training.global_batch is None:
        found.append(
            Problem(
                "task.global_batch",
                f"MaxText needs a multiple of pipeline {parallel.pipeline} micro batches in a step, and null is one",
            )
        )
    if parallel.sequence and parallel.context > 1:
        found.append(Problem("task.parallel.sequence", "MaxText splits a sequence by this or by context, not by both"))
    return [*found, *_of_all_ranks(training, world_size)] if world_size else found


def _of_all_ranks(training: Training, world_size: int) -> Iterator[Problem]:
    """How MaxText deals a batch out to all ranks, and spreads experts over an axis of their own."""
    parallel = training.parallel
    readers = max(1, world_size // parallel.per_sequence)
    batch = training.global_batch or training.micro_batch * readers
    passes = batch // (training.micro_batch * readers)
    if parallel.pipeline > 1 and training.global_batch and passes % parallel.pipeline:
        yield Problem(
            "task.global_batch",
            f"MaxText's pipeline needs a multiple of {parallel.pipeline} micro batches in a step, and {batch} "
            f"sequences are {passes} of task.micro_batch {training.micro_batch} on {readers} data-parallel ranks",
        )
    axes = parallel.per_sequence * parallel.expert * parallel.replicate
    if parallel.expert > 1 and world_size % axes:
        yield Problem(
            "task.parallel.expert",
            f"MaxText takes the {parallel.expert} ranks of the experts out of those that shard the weights, and "
            f"{world_size} ranks are not a multiple of all degrees together, {axes}",
        )


def _optimizer(training: Training) -> dict[str, Any]:
    optimizer = training.optimizer
    return {
        "opt_type": "adamw",
        "learning_rate": optimizer.lr,
        "adam_b1": optimizer.betas[0],
        "adam_b2": optimizer.betas[1],
        "adam_eps": optimizer.epsilon,
        "adam_weight_decay": optimizer.weight_decay,
    }


def _schedule(training: Training) -> dict[str, Any]:
    """As shares of the schedule: MaxText counts no steps here. Its `wsd` is a plateau and then a decay."""
    steps, warmup = training.schedule_steps, training.warmup_steps
    decay = {"cosine": 0, "linear": steps - warmup, "constant": 0}[training.schedule.name]
    return {
        "lr_schedule_type": "cosine" if training.schedule.name == "cosine" else "wsd",
        "learning_rate_schedule_steps": steps,
        "warmup_steps_fraction": warmup / steps,
        "wsd_decay_steps_fraction": min(decay / steps, 1 - warmup / steps),
        "wsd_decay_style": "linear",
        "learning_rate_final_fraction": training.schedule.min_lr_ratio,
    }


def _parallel(parallel: Parallel) -> dict[str, Any]:
    """Axes of the mesh of all ranks; MaxText gives those left over to `fsdp`."""
    split = "ici_tensor_sequence_parallelism" if parallel.sequence else "ici_tensor_parallelism"
    return {
        "ici_data_parallelism": parallel.replicate,
        "ici_fsdp_parallelism": -1,
        split: parallel.tensor,
        "ici_pipeline_parallelism": parallel.pipeline,
        "ici_context_parallelism": parallel.context,
        "ici_expert_parallelism": parallel.expert,
        "dcn_data_parallelism": 1,
        "num_slices": 1,  # one mesh, by rank: tensor-parallel ranks are neighbours
    }
