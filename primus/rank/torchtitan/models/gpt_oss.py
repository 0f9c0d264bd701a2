"""gpt-oss: attention with sinks, biases and a window in every second layer; experts with biases in every layer."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torchtitan.models.common import CosSinRoPE, Linear
from torchtitan.models.common.attention import FlexAttention, FusedQKVLinear
from torchtitan.models.common.config_utils import make_token_dispatcher_config
from torchtitan.models.common.linear import ScaledBiasRowwiseLinear
from torchtitan.models.common.moe import RoutedExperts
from torchtitan.models.gpt_oss import GptOssModel, parallelize_gptoss
from torchtitan.models.gpt_oss.model import Attention, GptOssTransformerBlock
from torchtitan.models.gpt_oss.moe import GptOssGroupedExperts, GptOssMoE

from primus.rank.torchtitan.dimensions import Dimensions, Experts
from primus.rank.torchtitan.models import parts

PARALLELIZE = parallelize_gptoss


class BiasedExperts(GptOssGroupedExperts):
    """Gives its output in the precision of its input, as TorchTitan's other experts do; fp32 fails without it.

    Upstream: torchtitan 0.3.0, `GptOssGroupedExperts.forward` in `models/gpt_oss/moe.py` ends without `type_as`.
    """

    @dataclass(kw_only=True, slots=True)
    class Config(GptOssGroupedExperts.Config):
        """No more than the parent's."""

    def forward(self, x_RD: torch.Tensor, num_tokens_per_expert_E: torch.Tensor) -> torch.Tensor:
        """As the parent's."""
        out: torch.Tensor = super().forward(x_RD, num_tokens_per_expert_E)
        return out.type_as(x_RD)


def decoder(d: Dimensions) -> GptOssModel.Config:
    """The config of the model."""
    embedding = partial(nn.init.normal_, std=0.02)
    return GptOssModel.Config(**parts.frame(d, embedding), layers=[_layer(d, layer) for layer in range(d.n_layers)])


def _layer(d: Dimensions, layer: int) -> GptOssTransformerBlock.Config:
    assert d.moe is not None
    return GptOssTransformerBlock.Config(
        attention_norm=parts.norm(d, d.dim),
        ffn_norm=parts.norm(d, d.dim),
        attention=_attention(d, layer),
        moe=_mixture(d, d.moe, layer),
    )


def _attention(d: Dimensions, layer: int) -> Attention.Config:
    assert d.head_dim is not None
    draw = parts.by_depth(layer)
    return Attention.Config(
        n_heads=d.n_heads,
        n_kv_heads=d.n_kv_heads,
        head_dim=d.head_dim,
        dim=d.dim,
        qkv_linear=FusedQKVLinear.Config(
            head_dim=d.head_dim,
            n_heads=d.n_heads,
            n_kv_heads=d.n_kv_heads,
            wqkv=_linear(d.dim, (d.n_heads + 2 * d.n_kv_heads) * d.head_dim, draw),
        ),
        wo=ScaledBiasRowwiseLinear.Config(
            in_features=d.n_heads * d.head_dim, out_features=d.dim, bias=True, param_init=draw
        ),
        sliding_window_size=None if layer % 2 else d.sliding_window_size,
        inner_attention=FlexAttention.Config(),
        param_init={"sinks": draw["weight"]},
        rope=parts.rope(CosSinRoPE.Config, d, d.head_dim),
    )


def _linear(inputs: int, outputs: int, draw: dict[str, Any]) -> Linear.Config:
    return Linear.Config(in_features=inputs, out_features=outputs, bias=True, param_init=draw)


def _mixture(d: Dimensions, experts: Experts, layer: int) -> GptOssMoE.Config:
    draw = parts.by_depth(layer)
    names = ("mlp1_weight_EGD", "mlp1_bias_EG", "mlp2_weight_EDF", "mlp2_bias_ED")
    return GptOssMoE.Config(
        num_experts=experts.num_experts,
        load_balance_coeff=experts.load_balance_coeff,
        routed_experts=RoutedExperts.Config(
            inner_experts=BiasedExperts.Config(
                dim=d.dim,
                hidden_dim=experts.hidden_dim,
                num_experts=experts.num_experts,
                param_init=dict.fromkeys(names, draw["weight"]),
            ),
            token_dispatcher=make_token_dispatcher_config(
                num_experts=experts.num_experts, top_k=experts.top_k, comm_backend=parts.DISPATCH, hidden_dim=d.dim
            ),
        ),
        router=parts.router(d, experts, draw),
    )
