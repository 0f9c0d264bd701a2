"""The `model` of `rank.json`, in TorchTitan's names."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Scaling:
    """Of rotary positions: fields of TorchTitan's `RoPE.Config`; those of the other kind are left out."""

    scaling: Literal["none", "llama", "yarn"]
    scaling_factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None
    rope_factor: float | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    original_seq_len: int | None = None
    truncate: bool | None = None

    def given(self) -> dict[str, Any]:
        """What was given, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Latent:
    """Multi-head latent attention: fields of `torchtitan.models.deepseek_v3.model.Attention.Config`."""

    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    mscale: float


@dataclass(frozen=True)
class Experts:
    """Which layers have experts, and fields of TorchTitan's `MoE.Config` and of what it holds."""

    layers: tuple[int, ...]
    num_experts: int
    top_k: int
    hidden_dim: int
    shared_hidden_dim: int
    score_func: Literal["softmax", "sigmoid"]
    route_norm: bool
    route_scale: float
    num_expert_groups: int | None
    num_limited_groups: int | None
    bias: bool
    load_balance_coeff: float | None


@dataclass(frozen=True)
class Dimensions:
    """`name` is that of the folder of `torchtitan.models` whose blocks make up the model."""

    name: Literal["llama3", "qwen3", "deepseek_v3", "gpt_oss"]
    flavor: str
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int | None
    hidden_dim: int
    vocab_size: int
    norm_eps: float
    rope_theta: float
    rope_scaling: Scaling
    max_seq_len: int
    enable_weight_tying: bool
    qkv_bias: bool
    qk_norm: bool
    sliding_window_size: int | None
    mla: Latent | None
    moe: Experts | None

    def experts(self, layer: int) -> Experts | None:
        """Of this layer (from 0); None where it has an FFN."""
        return self.moe if self.moe and layer in self.moe.layers else None
