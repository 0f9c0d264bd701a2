"""Llama 2 and 3: grouped-query attention and an FFN."""

from functools import partial

from torch import nn
from torchtitan.models.common import ComplexRoPE
from torchtitan.models.llama3 import Llama3Model, parallelize_llama
from torchtitan.models.llama3.model import Llama3TransformerBlock

from primus.rank.torchtitan.dimensions import Dimensions
from primus.rank.torchtitan.models import parts

PARALLELIZE = parallelize_llama


def decoder(d: Dimensions) -> Llama3Model.Config:
    """The config of the model."""
    embedding = partial(nn.init.normal_, std=1.0)
    return Llama3Model.Config(**parts.frame(d, embedding), layers=[_layer(d, layer) for layer in range(d.n_layers)])


def _layer(d: Dimensions, layer: int) -> Llama3TransformerBlock.Config:
    assert d.head_dim is not None
    first, last = parts.truncated(0.02), parts.by_depth(layer)
    return Llama3TransformerBlock.Config(
        attention_norm=parts.norm(d, d.dim),
        ffn_norm=parts.norm(d, d.dim),
        attention=parts.attention(d, parts.rope(ComplexRoPE.Config, d, d.head_dim), first, last),
        feed_forward=parts.feed_forward(d, first, last),
    )
