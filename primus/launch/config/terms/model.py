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

    `yarn`: pairs that turn more than `beta_fast` times within the original context are left as they are, those that
    turn less than `beta_slow` times take `factor` times as long; `truncate`: the border pairs are whole numbers
    (DeepSeek), not fractions (gpt-oss). The logits of attention are scaled by (0.1 x mscale x ln(factor) + 1) squared.
    Sources: Peng et al. 2023, https://arxiv.org/abs/2309.00071; `rope_type: yarn` of Hugging Face, where `mscale` and
    `mscale_all_dim` are equal, as they are in every config here.
    """

    kind: Literal["llama3", "yarn"]
    factor: float = bounded(least=1)
    original_context: int = bounded(least=1)
    low_frequency_factor: float | None = bounded(above=0, default=None)
    high_frequency_factor: float | None = bounded(above=0, default=None)
    beta_fast: float | None = bounded(above=0, default=None)
    beta_slow: float | None = bounded(above=0, default=None)
    mscale: float | None = bounded(above=0, default=None)
    truncate: bool = True


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

    @property
    def query_head_size(self) -> int:
        """Elements of a query and of a key."""
        return self.nope_head_size + self.rope_head_size

    def parameters(self, hidden_size: int, heads: int) -> int:
        """Of a layer's attention: down and up projections with a norm (RMSNorm) between, and the output's."""
        queries = heads * self.query_head_size
        query = (hidden_size + 1 + queries) * self.query_rank if self.query_rank else hidden_size * queries
        down = hidden_size * (self.kv_rank + self.rope_head_size) + self.kv_rank
        up = self.kv_rank * heads * (self.nope_head_size + self.value_head_size)
        return query + down + up + heads * self.value_head_size * hidden_size


@dataclass(frozen=True, kw_only=True)
class Router:
    """How a token chooses its experts.

    `score` turns the logits into scores; `normalize`: those of the chosen experts are made to sum to 1; `scale`
    multiplies them; `groups` and `active_groups`: experts are chosen from the best groups alone, a group being as good
    as its two best experts together; `bias`: the router is linear with a bias (gpt-oss); `before_experts`: the score
    multiplies the expert's input (Llama 4), not its output.

    `balance` is how the experts' load is kept even: a `bias` per expert that is no parameter and moves by
    `balance_rate` after each step (DeepSeek V3, https://arxiv.org/abs/2408.15664), a `loss` of that weight
    (https://arxiv.org/abs/2101.03961), `none`, or `auto`: what the backend can do with this router.
    """

    score: Literal["softmax", "sigmoid"]
    normalize: bool
    scale: float = bounded(above=0, default=1.0)
    groups: int | None = bounded(least=1, default=None)
    active_groups: int | None = bounded(least=1, default=None)
    bias: bool = False
    before_experts: bool = False
    balance: Literal["auto", "bias", "loss", "none"]
    balance_rate: float = bounded(above=0)


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
    expert_bias: bool = False
    router: Router

    def is_in(self, layer: int) -> bool:
        """Whether the layer (from 0) has experts."""
        return layer >= self.first_layer and (layer - self.first_layer) % self.interval == 0

    def parameters(self, hidden_size: int, experts: int) -> int:
        """Of a layer with so many experts: the router, which knows them all, the experts and the shared ones.

        The bias that balances is not trained and does not count.
        """
        biases = 2 * self.ffn_size + hidden_size if self.expert_bias else 0
        router = hidden_size * self.experts + (self.experts if self.router.bias else 0)
        return router + experts * (_ffn(hidden_size, self.ffn_size) + biases) + _ffn(hidden_size, self.shared_ffn_size)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder-only transformer; `head_size` is that of one attention head (null where `mla` says it).

    RMSNorm, rotary positions, grouped-query attention (or `mla`) and a gated FFN (SwiGLU) without biases, as in Llama
    (Touvron et al. 2023, https://arxiv.org/abs/2302.13971 and https://arxiv.org/abs/2307.09288), with what differs. A
    preset need not state what its model does not have:

    `context`: the longest sequence that the model takes, in positions (tokens). `ffn_size`: of the layers without
    experts. `attention_bias`: of the query, key and value projections (`qkv`: Qwen 2.5), of the output's too (`all`:
    gpt-oss). `qk_norm`: queries and keys are normed per head, with trained weights before the rotary positions (`rms`:
    Qwen 3) or without weights after them, in the layers that have them (`l2`: Llama 4). `attention_sinks`: a trained
    logit per head that takes part in the softmax (gpt-oss). `window`: every second layer, from the first, sees so many
    positions back alone, itself among them. `chunk`: layers with rotary positions see their own chunk of so many
    positions alone (Llama 4). `rope_skip`: every so-many-th layer has no rotary positions; `temperature_tuning`:
    queries of those layers grow by 0.1 ln(floor((position + 1) / 8192) + 1) + 1 (Llama 4). `activation`:
    `clamped_swiglu` is gpt-oss's, a sigmoid of 1.702 x with x clamped at 7 and 1 added to the other half.
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
    temperature_tuning: bool = False
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
        """How many numbers are trained."""
        return self._parameters(self.moe.experts if self.moe else 0)

    @property
    def active_parameters(self) -> int:
        """How many of them take part for one token: all but the experts that it does not choose."""
        return self._parameters(self.moe.active_experts if self.moe else 0)

    @property
    def input_embedding(self) -> int:
        """Parameters of which a token takes one row alone; 0 where they are those of the output."""
        return 0 if self.tied_embeddings else self.vocabulary * self.hidden_size

    @property
    def attended(self) -> int:
        """Elements of a query head and of a value head together: what attention multiplies by per pair of tokens."""
        if self.mla:
            return self.mla.query_head_size + self.mla.value_head_size
        return 2 * (self.head_size or 0)

    def has_experts(self, layer: int) -> bool:
        """Whether the layer (from 0) has experts in place of the FFN."""
        return self.moe is not None and self.moe.is_in(layer)

    def _parameters(self, experts: int) -> int:
        sparse = sum(self.has_experts(layer) for layer in range(self.layers))
        attention = self.layers * (self._attention() + 2 * self.hidden_size)
        dense = (self.layers - sparse) * _ffn(self.hidden_size, self.ffn_size)
        mixtures = sparse * self.moe.parameters(self.hidden_size, experts) if self.moe else 0
        output = self.vocabulary * self.hidden_size + self.hidden_size  # and the last norm
        return self.input_embedding + attention + dense + mixtures + output

    def _attention(self) -> int:
        if self.mla:
            return self.mla.parameters(self.hidden_size, self.attention_heads)
        size = self.head_size or 0
        queries, keys_values = self.attention_heads * size, 2 * self.kv_heads * size
        matrices = self.hidden_size * (2 * queries + keys_values)
        biases = 0 if self.attention_bias == "none" else queries + keys_values
        biases += self.hidden_size if self.attention_bias == "all" else 0
        norms = 2 * size if self.qk_norm == "rms" else 0
        return matrices + biases + norms + (self.attention_heads if self.attention_sinks else 0)


def _ffn(hidden_size: int, ffn_size: int) -> int:
    """Parameters of gate, up and down projections."""
    return 3 * hidden_size * ffn_size
