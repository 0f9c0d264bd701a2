"""Megatron's model from its arguments, with what they cannot say."""

import math
from argparse import Namespace
from typing import Any

import torch
from megatron.core.tensor_parallel.layers import RowParallelLinear
from megatron.training.argument_utils import gpt_config_from_args
from megatron.training.models.gpt import GPTModelConfig

from primus.rank.megatron import attention


def model_config(args: Namespace, frequencies: dict[str, Any] | None) -> GPTModelConfig:
    """What `pretrain` builds the model from; `frequencies` stretch the rotary positions in place of Megatron."""
    config = gpt_config_from_args(args)
    config.rope_scaling_factor = args.rope_scaling_factor  # 0.19.2 leaves it at 8
    if args.spec is None:
        config.transformer_layer_spec = attention.layers
    if args.num_experts and args.add_bias_linear:
        config.pre_wrap_hooks.append(lambda chunks: [_add_biases_later(chunk) for chunk in chunks])
    if frequencies:
        config.pre_wrap_hooks.append(lambda chunks: [_stretch(chunk, **frequencies) for chunk in chunks])
    return config


def _add_biases_later(chunk: Any) -> Any:
    """An expert adds its bias in place to what this layer's reduction returns: autograd refuses it with a single rank.

    Upstream: megatron-core 0.19.2, `MLP.forward` and `RowParallelLinear.forward`, which skips the reduction only with
    expert parallelism. Can go when it does so with a single rank, where there is nothing to reduce.
    """
    for module in chunk.modules():
        if isinstance(module, RowParallelLinear) and module.is_expert:
            module.explicit_expert_comm = True
    return chunk


def _stretch(chunk: Any, **scaling: Any) -> Any:
    chunk.rotary_pos_emb.inv_freq = stretched(chunk.rotary_pos_emb.inv_freq, **scaling)
    return chunk


def stretched(
    frequencies: torch.Tensor,
    factor: float,
    low_frequency_factor: float,
    high_frequency_factor: float,
    original_context: int,
) -> torch.Tensor:
    """Radians per position, by `apply_scaling` of https://github.com/meta-llama/llama-models.

    What turns more than `high_frequency_factor` times within the original context is kept, what turns less than
    `low_frequency_factor` times takes `factor` times as long, and what lies between passes from one to the other.
    """
    turns = original_context * frequencies / (2 * math.pi)
    between = high_frequency_factor - low_frequency_factor
    kept = ((turns - low_frequency_factor) / between).clamp(0, 1) if between else (turns > low_frequency_factor).float()
    return kept * frequencies + (1 - kept) * frequencies / factor
