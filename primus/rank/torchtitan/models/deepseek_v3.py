"""DeepSeek V2 and V3: latent attention; an FFN or experts."""

from dataclasses import asdict
from functools import partial

from torch import nn
from torchtitan.models.common import ComplexRoPE
from torchtitan.models.deepseek_v3 import DeepSeekV3Model, make_mla_attention_config, parallelize_deepseekv3
from torchtitan.models.deepseek_v3.model import Attention, DeepSeekV3TransformerBlock

from primus.rank.torchtitan.dimensions import Dimensions
from primus.rank.torchtitan.models import parts

PARALLELIZE = parallelize_deepseekv3


def decoder(d: Dimensions) -> DeepSeekV3Model.Config:
    """The config of the model, without modules that predict further tokens."""
    embedding = partial(nn.init.normal_, std=1.0)
    return DeepSeekV3Model.Config(**parts.frame(d, embedding), layers=[_layer(d, layer) for layer in range(d.n_layers)])


def _layer(d: Dimensions, layer: int) -> DeepSeekV3TransformerBlock.Config:
    experts = d.experts(layer)
    first, last = parts.truncated(0.02), parts.by_depth(layer)
    return DeepSeekV3TransformerBlock.Config(
        attention_norm=parts.norm(d, d.dim),
        ffn_norm=parts.norm(d, d.dim),
        attention=_attention(d, layer),
        feed_forward=None if experts else parts.feed_forward(d, first, last),
        moe=parts.mixture(d, experts, gate=last, first=first, last=last, up=last) if experts else None,
    )


def _attention(d: Dimensions, layer: int) -> Attention.Config:
    assert d.mla is not None
    config = make_mla_attention_config(
        **asdict(d.mla),
        layer_id=layer,
        dim=d.dim,
        n_heads=d.n_heads,
        attn_backend="flex",
        linear_init=parts.truncated(0.02),
        norm_init={"weight": nn.init.ones_},
        depth_init=parts.by_depth,
        rope=parts.rope(ComplexRoPE.Config, d, d.mla.qk_rope_head_dim),
    )
    config.q_norm.eps = config.kv_norm.eps = d.norm_eps  # it has no argument for it
    return config
