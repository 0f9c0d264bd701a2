"""The group `model`: a decoder-only transformer in neutral terms. Sizes count elements."""

from dataclasses import dataclass
from typing import Literal

from primus.node.typed import bounded


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary positions are stretched beyond the `original_context` that they were trained for (positions).

    `llama3`: turns shorter than original_context / high_frequency_factor positions are left as they are, those longer
    than original_context / low_frequency_factor take `factor` times as long, and those between pass from one to the
    other. Source: `apply_scaling` in https://github.com/meta-llama/llama-models, `rope_type: llama3` of Hugging Face.

    `yarn`: between `beta_fast` and `beta_slow` turns over the original context (Peng et al. 2023,
    https://arxiv.org/abs/2309.00071); attention is scaled by 0.1 x mscale x ln(factor) + 1, as DeepSeek V2 does it.
    """

    kind: Literal["llama3", "yarn"]
    factor: float = bounded(least=1)
    original_context: int = bounded(least=1)
    low_frequency_factor: float | None = bounded(above=0, default=None)
    high_frequency_factor: float | None = bounded(above=0, default=None)
    beta_fast: float | None = bounded(above=0, default=None)
    beta_slow: float | None = bounded(above=0, default=None)
    mscale: float | None = bounded(above=0, default=None)


@dataclass(frozen=True, kw_only=True)
class Mla:
    """Multi-head latent attention (DeepSeek V2, https://arxiv.org/abs/2405.04434): ranks and head sizes.

    `query_rank` None: queries are projected at once. A query head has nope_head_size + rope_head_size elements.
    """

    query_rank: int | None = bounded(least=1)
    kv_rank: int = bounded(least=1)
    nope_head_size: int = bounded(least=1)
    rope_head_size: int = bounded(least=2)
    value_head_size: int = bounded(least=1)


@dataclass(frozen=True, kw_only=True)
class Router:
    """How a token chooses its experts.

    `score` turns the logits into scores; `normalize`: those of the chosen experts are made to sum to 1; `scale`
    multiplies them; `groups` and `active_groups`: experts are chosen from the best groups alone; `bias`: the router is
    linear with a bias (gpt-oss); `balance_bias`: a bias per expert that is moved to balance the load and not trained by
    gradients (DeepSeek V3); `before_experts`: the score multiplies the expert's input (Llama 4), not its output.
    """

    score: Literal["softmax", "sigmoid"]
    normalize: bool
    scale: float = bounded(above=0)
    groups: int | None = bounded(least=1)
    active_groups: int | None = bounded(least=1)
    bias: bool
    balance_bias: bool
    before_experts: bool
    balance_loss: float = bounded(least=0)


@dataclass(frozen=True, kw_only=True)
class Moe:
    """A mixture of experts in place of the FFN.

    Layers from `first_layer` on have it, every `interval`-th of them. `ffn_size` is that of one expert;
    `shared_ffn_size` that of all shared experts together (0: none). `expert_bias`: the experts' matrices have biases.
    """

    experts: int = bounded(least=2)
    active_experts: int = bounded(least=1)
    ffn_size: int = bounded(least=1)
    shared_ffn_size: int = bounded(least=0)
    first_layer: int = bounded(least=0)
    interval: int = bounded(least=1)
    expert_bias: bool
    router: Router


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder-only transformer; `head_size` is that of one attention head (null where `mla` says it).

    RMSNorm, rotary positions, grouped-query attention (or `mla`) and a gated FFN (SwiGLU) without biases, as in Llama
    (Touvron et al. 2023, https://arxiv.org/abs/2302.13971 and https://arxiv.org/abs/2307.09288), with what differs. A
    preset need not state what its model does not have:

    `context`: the longest sequence that the model takes, in positions (tokens). `ffn_size`: of the layers without
    experts. `attention_bias`: of the query, key and value projections (`qkv`: Qwen 2.5), of the output's too (`all`:
    gpt-oss). `qk_norm`: queries and keys are normed per head with trained weights (`rms`: Qwen 3) or without (`l2`:
    Llama 4). `attention_sinks`: a trained logit per head that takes part in the softmax (gpt-oss). `window`: every
    second layer, from the first, sees so many positions back alone. `chunk`: layers with rotary positions see their
    own chunk of so many positions alone (Llama 4). `rope_skip`: every so-many-th layer has no rotary positions.
    `activation`: `clamped_swiglu` is gpt-oss's.
    """

    name: str
    hidden_size: int = bounded(least=1)
    layers: int = bounded(least=1)
    attention_heads: int = bounded(least=1)
    kv_heads: int = bounded(least=1)
    head_size: int | None = bounded(least=2)
    ffn_size: int = bounded(least=1)
    vocabulary: int = bounded(least=1)
    context: int = bounded(least=2)
    norm_epsilon: float = bounded(above=0)
    rope_theta: float = bounded(above=0)
    rope_scaling: RopeScaling | None = None
    rope_skip: int | None = bounded(least=2, default=None)
    tied_embeddings: bool
    attention_bias: Literal["none", "qkv", "all"] = "none"
    qk_norm: Literal["none", "rms", "l2"] = "none"
    attention_sinks: bool = False
    window: int | None = bounded(least=1, default=None)
    chunk: int | None = bounded(least=1, default=None)
    activation: Literal["swiglu", "clamped_swiglu"] = "swiglu"
    mla: Mla | None = None
    moe: Moe | None = None

    @property
    def parameters(self) -> int:
        """How many numbers are trained. A layer has four projections of attention, three FFN matrices and two norms."""
        head = self.head_size or 0
        attention = 2 * self.hidden_size * head * (self.attention_heads + self.kv_heads)
        layer = attention + 3 * self.hidden_size * self.ffn_size + 2 * self.hidden_size
        embeddings = self.vocabulary * self.hidden_size * (1 if self.tied_embeddings else 2)
        return embeddings + self.layers * layer + self.hidden_size

    @property
    def active_parameters(self) -> int:
        """How many of them take part for one token."""
        return self.parameters
