"""What a rank needs to know to say its throughput as MFU: floating-point operations per token, peaks of the GPUs."""

from typing import Any

from primus.launch import gpus
from primus.launch.config.request import Gpu
from primus.launch.config.terms.model import Model


def flops_per_token(model: Model, sequence_length: int) -> int:
    """Of a training step, forward and backward: 6 N + 12 L H Q T (Chowdhery et al. 2022, PaLM, appendix B,
    https://arxiv.org/abs/2204.02311).

    N are the active parameters without the input embedding, L layers, H heads, Q head size, T the sequence length;
    where query and value heads differ in size, 2 Q is the sum of both. Recomputed activations do not count, and pairs
    of tokens that a causal mask, a window or a chunk keeps apart do.
    """
    attention = 6 * model.layers * model.attention_heads * model.attended * sequence_length
    return 6 * (model.active_parameters - model.input_embedding) + attention


def peaks(gpu: Gpu) -> list[dict[str, Any]]:
    """The dense peaks (TFLOP/s) of the profile, or of every profile there is where the GPU is not named."""
    profiles = [gpu] if gpu.devices else gpus.profiles()
    return [{"name": p.name, "devices": list(p.devices), "tflops": p.tflops} for p in profiles]
