"""What a layer's forward pass leaves in memory for its backward pass, in bytes per token on one rank.

After Korthikanti et al. 2022, https://arxiv.org/abs/2205.05198 (section 4), for RMSNorm, SwiGLU, grouped-query or
latent attention in fused kernels (no matrix of scores) and experts. What a framework keeps beside, or computes again,
is in its module.
"""

from dataclasses import dataclass, field
from math import gcd

from primus.launch.config.terms.model import Mla, Model
from primus.launch.config.terms.training import Training
from primus.launch.memory.split import Split

IMBALANCE = 1.5
"""Tokens that the fullest rank gets over the mean where experts are spread over ranks: a guess, for an early router."""


@dataclass(frozen=True)
class Layer:
    """Elements per token of the tensors that one layer makes; `attention` and `ffn` are split by tensor parallelism.

    `matmuls` are the outputs of its linear layers in the order in which they run, each with whether it adds a bias;
    `routed` is what one expert makes of one token, `copies` the experts of a token that a rank computes.
    """

    hidden: int
    attention: int
    attention_output: int
    ffn: int
    matmuls: tuple[tuple[int, bool], ...]
    routed: int = 0
    copies: float = 0.0
    experts: int = 0


@dataclass(frozen=True)
class Tokens:
    """The tokens of one micro batch on one rank, and how wide their numbers are."""

    model: Model
    training: Training
    split: Split
    layers: dict[bool, Layer] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {self.model.has_experts(layer) for layer in range(self.model.layers)}
        object.__setattr__(self, "layers", {sparse: _layer(self.model, self.split, sparse) for sparse in kinds})

    @property
    def count(self) -> float:
        """Tokens of one micro batch on one rank."""
        return self.training.micro_batch * self.training.sequence_length / self.split.context

    @property
    def width(self) -> int:
        """Bytes of an activation; fp8 is counted as bf16, which is what is kept of most."""
        return 4 if self.training.precision == "fp32" else 2

    @property
    def loss_chunks(self) -> int:
        """TorchTitan's: Primus takes its default, 8, where that divides the sequence."""
        return gcd(8, self.training.sequence_length // self.split.context)

    @property
    def logits(self) -> float:
        """Per token."""
        return self.model.vocabulary / self.split.tensor

    def layer(self, index: int) -> Layer:
        """The tensors of this layer."""
        return self.layers[self.model.has_experts(index)]


def _layer(model: Model, split: Split, sparse: bool) -> Layer:
    moe = model.moe if sparse else None
    attention, output, projections = _latent(model, model.mla) if model.mla else _grouped(model)
    ffn = moe.shared_ffn_size if moe else model.ffn_size
    biased = model.attention_bias == "all"
    imbalance = IMBALANCE if split.expert > 1 else 1.0
    return Layer(
        hidden=model.hidden_size,
        attention=attention,
        attention_output=output,
        ffn=ffn,
        matmuls=(
            *projections,
            (model.hidden_size, biased),
            *(((ffn, False), (ffn, False), (model.hidden_size, False)) if ffn else ()),
        ),
        routed=moe.ffn_size if moe else 0,
        copies=imbalance * moe.active_experts if moe else 0.0,
        experts=moe.experts if moe else 0,
    )


def _grouped(model: Model) -> tuple[int, int, tuple[tuple[int, bool], ...]]:
    """Queries, keys, values and output, which the kernel keeps; queries and keys once more before a norm of theirs."""
    head = model.head_size or 0
    queries, keys = model.attention_heads * head, model.kv_heads * head
    before_norm = queries + keys if model.qk_norm != "none" else 0
    kept = 2 * queries + 2 * keys + before_norm
    return kept, queries, ((queries + 2 * keys, model.attention_bias != "none"),)


def _latent(model: Model, mla: Mla) -> tuple[int, int, tuple[tuple[int, bool], ...]]:
    """As above; keys and values come out of one projection, of which the values are a view; the ranks have norms."""
    heads = model.attention_heads
    queries = heads * mla.query_head_size
    up, output = heads * (mla.nope_head_size + mla.value_head_size), heads * mla.value_head_size
    down = mla.kv_rank + mla.rope_head_size
    ranks = 2 * (mla.query_rank or 0) + 2 * mla.kv_rank
    sizes = (*((mla.query_rank,) if mla.query_rank else ()), queries, down, up)
    return 2 * queries + up + output + ranks, output, tuple((size, False) for size in sizes)
