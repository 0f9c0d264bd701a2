"""The matrix products of a model's layers. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from primus.launch.config.terms.model import Model

Pass = Literal["forward", "input", "weight"]


@dataclass(frozen=True)
class Product:
    """`batch` products of (m, k) by (k, n). `transpose`: whether the operands lie transposed, as BLAS says it."""

    name: str
    m: int
    n: int
    k: int
    batch: int = 1
    transpose: str = "nt"


@dataclass(frozen=True)
class Linear:
    """A linear layer: `copies` of it (experts) with `tokens` each."""

    name: str
    inputs: int
    outputs: int
    tokens: int
    copies: int = 1


def of_model(model: Model, tokens: int, passes: tuple[Pass, ...]) -> list[Product]:
    """The products of every different linear layer of the model for so many tokens.

    Backward is two products for each (the gradients of the input and of the weight), which multiply as much as forward.
    """
    return [_product(layer, which) for layer in linears(model, tokens) for which in passes]


def linears(model: Model, tokens: int) -> Iterator[Linear]:
    """The linear layers, each kind once: with projections that share an input as one, as frameworks fuse them."""
    yield from _attention(model, tokens)
    moe = model.moe
    if moe is None or any(not model.has_experts(layer) for layer in range(model.layers)):
        yield from _ffn("ffn", model.hidden_size, model.ffn_size, tokens)
    if moe:
        each = max(1, tokens * moe.active_experts // moe.experts)  # a balanced router
        yield from _ffn("expert", model.hidden_size, moe.ffn_size, each, moe.experts)
        if moe.shared_ffn_size:
            yield from _ffn("shared", model.hidden_size, moe.shared_ffn_size, tokens)
    yield Linear("output", model.hidden_size, model.vocabulary, tokens)


def _attention(model: Model, tokens: int) -> Iterator[Linear]:
    mla, hidden, heads = model.mla, model.hidden_size, model.attention_heads
    if mla is None:
        size = model.head_size or 0
        yield Linear("qkv", hidden, (heads + 2 * model.kv_heads) * size, tokens)
        yield Linear("attention_out", heads * size, hidden, tokens)
        return
    queries = heads * mla.query_head_size
    if mla.query_rank:
        yield Linear("query_down", hidden, mla.query_rank, tokens)
        yield Linear("query_up", mla.query_rank, queries, tokens)
    else:
        yield Linear("query", hidden, queries, tokens)
    yield Linear("kv_down", hidden, mla.kv_rank + mla.rope_head_size, tokens)
    yield Linear("kv_up", mla.kv_rank, heads * (mla.nope_head_size + mla.value_head_size), tokens)
    yield Linear("attention_out", heads * mla.value_head_size, hidden, tokens)


def _ffn(name: str, hidden: int, size: int, tokens: int, copies: int = 1) -> Iterator[Linear]:
    yield Linear(f"{name}_gate_up", hidden, 2 * size, tokens, copies)
    yield Linear(f"{name}_down", size, hidden, tokens, copies)


def _product(layer: Linear, which: Pass) -> Product:
    name = layer.name if which == "forward" else f"{layer.name}_{which}"
    tokens, inputs, outputs = layer.tokens, layer.inputs, layer.outputs
    match which:
        case "forward":  # x (tokens, in) by the transpose of w (out, in)
            return Product(name, tokens, outputs, inputs, layer.copies, "nt")
        case "input":  # dy (tokens, out) by w
            return Product(name, tokens, inputs, outputs, layer.copies, "nn")
        case "weight":  # the transpose of dy by x
            return Product(name, outputs, inputs, tokens, layer.copies, "tn")
