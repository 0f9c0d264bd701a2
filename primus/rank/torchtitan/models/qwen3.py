"""Qwen 2.5 and 3, and Mixtral: grouped-query attention with biases or normed queries and keys; an FFN or experts."""

from functools import partial

from torch import nn
from torchtitan.models.common import ComplexRoPE, CosSinRoPE, RoPE
from torchtitan.models.qwen3 import Qwen3Model, parallelize_qwen3
from torchtitan.models.qwen3.model import Qwen3TransformerBlock

from primus.rank.torchtitan.dimensions import Dimensions
from primus.rank.torchtitan.models import parts
from primus.rank.torchtitan.models.parts import Weights

PARALLELIZE = parallelize_qwen3


def decoder(d: Dimensions) -> Qwen3Model.Config:
    """The config of the model."""
    draw = partial(nn.init.normal_, std=0.02)
    return Qwen3Model.Config(**parts.frame(d, draw, draw), layers=[_layer(d, layer) for layer in range(d.n_layers)])


def _layer(d: Dimensions, layer: int) -> Qwen3TransformerBlock.Config:
    experts = d.experts(layer)
    plain, last = _normal(0.02), _normal(0.02 / (2 * d.n_layers) ** 0.5 if d.moe else 0.02)
    return Qwen3TransformerBlock.Config(
        attention_norm=parts.norm(d, d.dim),
        ffn_norm=parts.norm(d, d.dim),
        attention=parts.attention(d, _rope(d), plain, last),
        feed_forward=None if experts else parts.feed_forward(d, plain, plain),
        moe=parts.mixture(d, experts, gate=plain, first=plain, last=last, up=plain) if experts else None,
    )


def _rope(d: Dimensions) -> RoPE.Config:
    assert d.head_dim is not None
    kind = ComplexRoPE.Config if d.rope_scaling.scaling == "llama" else CosSinRoPE.Config  # which lacks that stretch
    return parts.rope(kind, d, d.head_dim)


def _normal(std: float) -> Weights:
    return {"weight": partial(nn.init.normal_, std=std), "bias": nn.init.zeros_}
