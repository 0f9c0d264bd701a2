"""What the models have in common."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchtitan.models.common import Embedding, Linear, RMSNorm, RoPE
from torchtitan.models.common.attention import FlexAttention, GQAttention
from torchtitan.models.common.config_utils import (
    make_ffn_config,
    make_gqa_config,
    make_moe_config,
    make_routed_experts_config,
    make_router_config,
)
from torchtitan.models.common.feed_forward import FeedForward
from torchtitan.models.common.moe import MoE, TokenChoiceTopKRouter
from torchtitan.models.common.param_init import depth_scaled_std, skip_param_init

from primus.rank.torchtitan.dimensions import Dimensions, Experts

Draw = Callable[..., Any]
Weights = dict[str, Draw]

DISPATCH = "standard"  # all-to-all of PyTorch; the others need libraries of their own


def truncated(std: float) -> Weights:
    """Of a matrix, with biases of 0."""
    return {"weight": partial(nn.init.trunc_normal_, std=std), "bias": nn.init.zeros_}


def by_depth(layer: int) -> Weights:
    """The same, the less the deeper the layer."""
    return truncated(depth_scaled_std(0.02, layer))


def norm(d: Dimensions, size: int) -> RMSNorm.Config:
    """An RMSNorm over so many elements."""
    return RMSNorm.Config(normalized_shape=size, eps=d.norm_eps, param_init={"weight": nn.init.ones_})


def rope(kind: type[RoPE.Config], d: Dimensions, size: int) -> RoPE.Config:
    """Rotary positions of so many elements."""
    return kind(dim=size, max_seq_len=d.max_seq_len, theta=d.rope_theta, **d.rope_scaling.given())


def frame(d: Dimensions, embedding: Draw, head: Draw | None = None) -> dict[str, Any]:
    """Fields of a `Decoder.Config` around its layers. `head` None: truncated at three times dim ** -0.5."""
    std = d.dim**-0.5
    return {
        "dim": d.dim,
        "vocab_size": d.vocab_size,
        "enable_weight_tying": d.enable_weight_tying,
        "tok_embeddings": Embedding.Config(
            num_embeddings=d.vocab_size,
            embedding_dim=d.dim,
            param_init={"weight": skip_param_init if d.enable_weight_tying else embedding},
        ),
        "norm": norm(d, d.dim),
        "lm_head": Linear.Config(
            in_features=d.dim,
            out_features=d.vocab_size,
            param_init={"weight": head or partial(nn.init.trunc_normal_, std=std, a=-3 * std, b=3 * std)},
        ),
    }


def attention(d: Dimensions, rotary: RoPE.Config, first: Weights, last: Weights) -> GQAttention.Config:
    """Grouped-query attention. `first`: weights of the query, key and value projections; `last`: of the output's."""
    assert d.head_dim is not None
    config = make_gqa_config(
        dim=d.dim,
        n_heads=d.n_heads,
        n_kv_heads=d.n_kv_heads,
        head_dim=d.head_dim,
        wqkv_param_init=first,
        wo_param_init=last,
        inner_attention=FlexAttention.Config(),
        rope=rotary,
        fuse_qkv=True,
        qk_norm=norm(d, d.head_dim) if d.qk_norm else None,
    )
    config.qkv_linear.wqkv.bias = d.qkv_bias
    return config


def feed_forward(d: Dimensions, first: Weights, last: Weights) -> FeedForward.Config:
    """A gated FFN. `first`: weights of the gate; `last`: of the down and up projections."""
    return make_ffn_config(dim=d.dim, hidden_dim=d.hidden_dim, w1_param_init=first, w2w3_param_init=last)


def router(d: Dimensions, experts: Experts, gate: Weights) -> TokenChoiceTopKRouter.Config:
    """What chooses the experts of a token."""
    return make_router_config(
        dim=d.dim,
        num_experts=experts.num_experts,
        gate_param_init=gate,
        top_k=experts.top_k,
        score_func=experts.score_func,
        route_norm=experts.route_norm,
        route_scale=experts.route_scale,
        num_expert_groups=experts.num_expert_groups,
        num_limited_groups=experts.num_limited_groups,
        bias=experts.bias,
    )


def mixture(
    d: Dimensions, experts: Experts, *, gate: Weights, first: Weights, last: Weights, up: Weights
) -> MoE.Config:
    """A mixture of experts. `gate`: weights of the router; `first`, `last`, `up`: of the experts' three projections."""
    shared = experts.shared_hidden_dim
    return make_moe_config(
        num_experts=experts.num_experts,
        router=router(d, experts, gate),
        routed_experts=make_routed_experts_config(
            dim=d.dim,
            hidden_dim=experts.hidden_dim,
            num_experts=experts.num_experts,
            top_k=experts.top_k,
            param_init={"w1_EFD": first["weight"], "w2_EDF": last["weight"], "w3_EFD": up["weight"]},
            comm_backend=DISPATCH,
        ),
        shared_experts=make_ffn_config(dim=d.dim, hidden_dim=shared, w1_param_init=first, w2w3_param_init=last)
        if shared
        else None,
        load_balance_coeff=experts.load_balance_coeff,
    )
