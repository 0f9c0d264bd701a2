"""Which decoder block of MaxText 0.2.5 has the parts that a model is made of, and which part no block has.

A block is a choice of parts: `has` are those that it always has, `can` those that an option switches on.
"""

from dataclasses import dataclass

from primus.launch.config.terms.model import Model, Moe
from primus.node.typed import Problem

# Part -> the key of `model` that asks for it, and what to call it.
_PARTS = {
    "latent": ("mla", "latent attention (mla)"),
    "sinks": ("attention_sinks", "attention sinks"),
    "window": ("window", "a window in every second layer"),
    "chunk": ("chunk", "chunked attention"),
    "skip": ("rope_skip", "layers without rotary positions"),
    "tuning": ("temperature_tuning", "queries that grow with the position"),
    "qkv bias": ("attention_bias", "biases of queries, keys and values alone (qkv)"),
    "attention bias": ("attention_bias", "biases of all projections of attention (all)"),
    "rms": ("qk_norm", "a norm with weights of queries and keys (rms)"),
    "l2": ("qk_norm", "a norm without weights of queries and keys (l2)"),
    "clamped": ("activation", "clamped_swiglu"),
    "experts": ("moe", "experts"),
    "shared": ("moe.shared_ffn_size", "shared experts"),
    "leading": ("moe.first_layer", "layers without experts before those that have them"),
    "interval": ("moe.interval", "experts in every so-many-th layer"),
    "expert bias": ("moe.expert_bias", "biases of the experts"),
    "router bias": ("moe.router.bias", "a trained bias of the router"),
    "balance bias": ("moe.router.balance", "a bias that balances the experts (bias)"),
    "groups": ("moe.router.groups", "groups of experts"),
    "scale": ("moe.router.scale", "a factor of the router's scores"),
    "before": ("moe.router.before_experts", "scores that multiply an expert's input"),
    "after": ("moe.router.before_experts", "scores that multiply an expert's output"),
    "softmax": ("moe.router.score", "softmax scores that are made to sum to 1"),
    "raw softmax": ("moe.router.normalize", "softmax scores as they are (normalize=false)"),
    "sigmoid": ("moe.router.score", "sigmoid scores that are made to sum to 1"),
    "raw sigmoid": ("moe.router.normalize", "sigmoid scores as they are (normalize=false)"),
}


@dataclass(frozen=True)
class Block:
    """A value of MaxText's `decoder_block`."""

    name: str
    has: frozenset[str] = frozenset()
    can: frozenset[str] = frozenset()


_CHOSEN = frozenset({"experts", "after", "softmax"})  # the best experts' logits through a softmax
_BLOCKS = (
    Block("llama2"),
    Block("qwen2", frozenset({"qkv bias"})),
    Block("qwen3", frozenset({"rms"})),
    Block("mixtral", _CHOSEN),
    Block("qwen3_moe", _CHOSEN | {"rms"}),
    Block(
        "deepseek",
        frozenset({"latent", "experts", "shared", "after"}),
        frozenset({"leading", "groups", "scale", "balance bias", "sigmoid", "raw softmax"}),
    ),
    Block(
        "gpt_oss",
        _CHOSEN | {"window", "clamped", "expert bias"},
        frozenset({"sinks", "attention bias", "router bias"}),
    ),
    Block(
        "llama4",
        frozenset({"skip", "chunk", "experts", "shared", "before", "raw sigmoid"}),
        frozenset({"tuning", "l2", "leading", "interval"}),
    ),
)


def block(model: Model) -> Block | None:
    """The block that has every part of the model and no other; None: there is none."""
    parts = _parts(model)
    return next((b for b in _BLOCKS if b.has <= parts <= b.has | b.can), None)


def lacks(model: Model) -> list[Problem]:
    """For a model that no block fits: what the nearest one has not, or has besides."""
    if block(model):
        return []
    parts = _parts(model)
    near = min(_BLOCKS, key=lambda b: len(parts - b.has - b.can) + len(b.has - parts))
    missing = [(part, "lacks") for part in _PARTS if part in parts - near.has - near.can]
    besides = [(part, "cannot do without") for part in _PARTS if part in near.has - parts]
    return [
        Problem(f"model.{key}", f"MaxText's nearest decoder block, {near.name}, {how} {what}")
        for part, how in missing + besides
        for key, what in [_PARTS[part]]
    ]


def _parts(model: Model) -> set[str]:
    asked = {
        "latent": model.mla,
        "sinks": model.attention_sinks,
        "window": model.window,
        "chunk": model.chunk,
        "skip": model.rope_skip,
        "tuning": model.temperature_tuning,
        "qkv bias": model.attention_bias == "qkv",
        "attention bias": model.attention_bias == "all",
        "rms": model.qk_norm == "rms",
        "l2": model.qk_norm == "l2",
        "clamped": model.activation == "clamped_swiglu",
    }
    return {part for part, there in asked.items() if there} | (_expert_parts(model.moe) if model.moe else set())


def _expert_parts(moe: Moe) -> set[str]:
    router = moe.router
    asked = {
        "experts": True,
        "shared": moe.shared_ffn_size,
        "leading": moe.first_layer,
        "interval": moe.interval > 1,
        "expert bias": moe.expert_bias,
        "router bias": router.bias,
        "balance bias": router.balance == "bias",
        "groups": router.groups,
        "scale": router.scale != 1,
        "before": router.before_experts,
        "after": not router.before_experts,
        f"{'' if router.normalize else 'raw '}{router.score}": True,
    }
    return {part for part, there in asked.items() if there}
