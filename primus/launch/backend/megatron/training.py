"""The neutral terms of a training in the arguments of Megatron (megatron/training/arguments.py, megatron-core 0.19)."""

import logging
from typing import Any

from primus.launch.config.terms.training import Training

LOGGED = 10  # steps between Megatron's own lines in the log; the metrics file has every step


def course(training: Training, layers: int) -> dict[str, Any]:
    """The arguments that say how it is trained, but for what depends on the device and the number of ranks."""
    parallel, optimizer = training.parallel, training.optimizer
    return {
        "train_iters": training.steps,
        "seq_length": training.sequence_length,
        "micro_batch_size": training.micro_batch,
        "global_batch_size": training.global_batch,
        "seed": training.seed,
        "optimizer": "adam",
        "adam_beta1": optimizer.betas[0],
        "adam_beta2": optimizer.betas[1],
        "adam_eps": optimizer.epsilon,
        "weight_decay": optimizer.weight_decay,
        "clip_grad": training.clip_grad_norm,
        **_schedule(training),
        "tensor_model_parallel_size": parallel.tensor,
        "pipeline_model_parallel_size": parallel.pipeline,
        **({"pipeline_model_parallel_layout": stages(layers, parallel.pipeline)} if layers % parallel.pipeline else {}),
        "context_parallel_size": parallel.context,
        "expert_model_parallel_size": parallel.expert,
        **_RECOMPUTED[training.activation_checkpointing],
        "eval_interval": training.eval.interval or training.steps + 1,
        "eval_iters": training.eval.steps if training.eval.interval else 0,
        "log_interval": LOGGED,
        "logging_level": logging.WARNING,  # below are whole configs, a line each
        "tokenizer_type": "NullTokenizer",  # it gets tokens, not text
        "create_attention_mask_in_dataloader": False,  # attention is causal
    }


def _schedule(training: Training) -> dict[str, Any]:
    """Step i of S has lr i/W up to W, then decays by (i - W)/(S - W), as in TorchTitan.

    Megatron counts from 0 where this counts from 1: its first step would have a learning rate of 0, and its last not
    yet the lowest. So its warm-up begins at lr/W and it counts one step less of each (`get_lr` in
    core/optimizer_param_scheduler.py). Its schedule is the one given, not that of the checkpoint it goes on from.
    """
    schedule, lr = training.schedule, training.optimizer.lr
    warmup = max(1, training.warmup_steps)
    return {
        "lr": lr,
        "min_lr": lr * schedule.min_lr_ratio,
        "lr_decay_style": schedule.name,
        "lr_warmup_init": lr / warmup,
        "lr_warmup_iters": warmup - 1,
        "lr_decay_iters": max(warmup, training.schedule_steps - 1),
        "override_opt_param_scheduler": True,
    }


def stages(layers: int, pipeline: int) -> str:
    """Stages of unlike length, as Megatron writes them: embedding, transformer layers, loss.

    Those after the first have a layer more, for the first has the embedding.
    """
    fewest, more = divmod(layers, pipeline)
    lengths = (fewest + int(1 <= stage <= more) for stage in range(pipeline))
    return f"E{'|'.join('t' * length for length in lengths)}L"


_RECOMPUTED: dict[str, dict[str, Any]] = {
    "none": {},
    "selective": {"recompute_granularity": "selective"},
    "full": {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1},
}
