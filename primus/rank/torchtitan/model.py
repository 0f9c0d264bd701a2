"""TorchTitan's Llama 3 with dimensions of one's own, in place of a flavor from its list."""

from dataclasses import asdict, dataclass, replace
from functools import partial

from torch import nn
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
from torchtitan.models.common.attention import FlexAttention
from torchtitan.models.common.config_utils import make_ffn_config, make_gqa_config
from torchtitan.models.common.param_init import depth_scaled_std, skip_param_init
from torchtitan.models.llama3 import Llama3Model, parallelize_llama
from torchtitan.models.llama3.model import Llama3TransformerBlock
from torchtitan.protocols.model_spec import ModelSpec


@dataclass(frozen=True)
class Scaling:
    """Of rotary positions, as Llama 3.1 does it: fields of TorchTitan's `RoPE.Config`."""

    scaling_factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


@dataclass(frozen=True)
class Dimensions:
    """The `model` of `rank.json`, in TorchTitan's names."""

    name: str
    flavor: str
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    hidden_dim: int
    vocab_size: int
    norm_eps: float
    rope_theta: float
    rope_scaling: Scaling | None
    max_seq_len: int
    enable_weight_tying: bool


def model_spec(d: Dimensions) -> ModelSpec:
    """What `model_registry` of `torchtitan.models.llama3` returns for a flavor, for these dimensions."""
    return ModelSpec(
        name=d.name,
        flavor=d.flavor,
        model=_decoder(d),
        parallelize_fn=parallelize_llama,
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=None,
        state_dict_adapter=None,  # to and from Hugging Face's weights: nothing is loaded or exported
    )


def _decoder(d: Dimensions) -> Llama3Model.Config:
    # Initial values as in torchtitan/models/llama3/__init__.py of 0.3.0: normal embeddings, a truncated head.
    std = d.dim**-0.5
    return Llama3Model.Config(
        dim=d.dim,
        vocab_size=d.vocab_size,
        enable_weight_tying=d.enable_weight_tying,
        tok_embeddings=Embedding.Config(
            num_embeddings=d.vocab_size,
            embedding_dim=d.dim,
            param_init={"weight": skip_param_init if d.enable_weight_tying else partial(nn.init.normal_, std=1.0)},
        ),
        norm=_norm(d),
        lm_head=Linear.Config(
            in_features=d.dim,
            out_features=d.vocab_size,
            param_init={"weight": partial(nn.init.trunc_normal_, std=std, a=-3 * std, b=3 * std)},
        ),
        layers=[_layer(d, layer_id) for layer_id in range(d.n_layers)],
    )


def _layer(d: Dimensions, layer_id: int) -> Llama3TransformerBlock.Config:
    first = {"weight": partial(nn.init.trunc_normal_, std=0.02)}
    last = {"weight": partial(nn.init.trunc_normal_, std=depth_scaled_std(0.02, layer_id))}
    return Llama3TransformerBlock.Config(
        attention_norm=_norm(d),
        ffn_norm=_norm(d),
        attention=make_gqa_config(
            dim=d.dim,
            n_heads=d.n_heads,
            n_kv_heads=d.n_kv_heads,
            head_dim=d.head_dim,
            wqkv_param_init=first,
            wo_param_init=last,
            inner_attention=FlexAttention.Config(),
            rope=_rope(d),
            fuse_qkv=True,
        ),
        feed_forward=make_ffn_config(dim=d.dim, hidden_dim=d.hidden_dim, w1_param_init=first, w2w3_param_init=last),
    )


def _rope(d: Dimensions) -> ComplexRoPE.Config:
    rope = ComplexRoPE.Config(dim=d.head_dim, max_seq_len=d.max_seq_len, theta=d.rope_theta)
    return replace(rope, scaling="llama", **asdict(d.rope_scaling)) if d.rope_scaling else rope


def _norm(d: Dimensions) -> RMSNorm.Config:
    return RMSNorm.Config(normalized_shape=d.dim, eps=d.norm_eps, param_init={"weight": nn.init.ones_})
