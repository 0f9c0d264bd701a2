"""The model in TorchTitan's terms: the `model` of rank.json, and what no model of TorchTitan 0.3.0 has."""

from collections.abc import Callable
from typing import Any

from primus.launch.config.terms.model import Mla, Model, Moe, RopeScaling
from primus.node.typed import Problem


def dimensions(model: Model, sequence_length: int) -> dict[str, Any]:
    """By the names of `primus.rank.torchtitan.dimensions.Dimensions`."""
    return {
        "name": family(model),
        "flavor": model.name,
        "dim": model.hidden_size,
        "n_layers": model.layers,
        "n_heads": model.attention_heads,
        "n_kv_heads": model.kv_heads,
        "head_dim": model.head_size,
        "hidden_dim": model.ffn_size,
        "vocab_size": model.vocabulary,
        "norm_eps": model.norm_epsilon,
        "rope_theta": model.rope_theta,
        "rope_scaling": _rope_scaling(model.rope_scaling) if model.rope_scaling else {"scaling": "none"},
        "max_seq_len": sequence_length,
        "enable_weight_tying": model.tied_embeddings,
        "qkv_bias": model.attention_bias != "none",
        "qk_norm": model.qk_norm == "rms",
        "sliding_window_size": model.window,
        "mla": _latent_attention(model.mla, model.rope_scaling) if model.mla else None,
        "moe": _experts(model.moe, model.layers) if model.moe else None,
    }


def family(model: Model) -> str:
    """The folder of `torchtitan.models` whose blocks make up the model."""
    if model.mla:
        return "deepseek_v3"
    if model.attention_sinks:
        return "gpt_oss"
    return "qwen3" if model.moe or model.qk_norm != "none" or model.attention_bias != "none" else "llama3"


def lacks(model: Model) -> list[Problem]:
    """The keys that no model of TorchTitan has a part for, or not together with the others."""
    found = [problem for asked, problem in _NOWHERE if asked(model)]
    found += {"deepseek_v3": _deepseek, "gpt_oss": _gpt_oss}.get(family(model), _others)(model)
    if model.moe and model.moe.router.balance == "loss":
        found.append(
            _lack("moe.router.balance", "loss that balances experts; it moves a bias: model.moe.router.balance=bias")
        )
    return found


def _lack(key: str, part: str) -> Problem:
    return Problem(f"model.{key}", f"TorchTitan 0.3.0 has no {part}")


def _llama4(key: str, part: str) -> Problem:
    return Problem(f"model.{key}", f"TorchTitan 0.3.0 has no Llama 4, nor its {part}")


_NOWHERE: tuple[tuple[Callable[[Model], object], Problem], ...] = (
    (lambda m: m.rope_skip, _llama4("rope_skip", "layers without rotary positions")),
    (lambda m: m.temperature_tuning, _llama4("temperature_tuning", "queries that grow with the position")),
    (lambda m: m.chunk, _llama4("chunk", "chunked attention")),
    (lambda m: m.qk_norm == "l2", _llama4("qk_norm", "norm of queries and keys after the rotary positions")),
    (
        lambda m: m.moe and m.moe.router.before_experts,
        _llama4("moe.router.before_experts", "scores that multiply an expert's input, not its output"),
    ),
)


def _others(model: Model) -> list[Problem]:
    """Of models that are neither DeepSeek's nor gpt-oss."""
    found = []
    if model.window:
        found.append(_lack("window", "sliding window without attention sinks (gpt-oss)"))
    if model.attention_bias == "all":
        found.append(_lack("attention_bias", "bias of attention's output without attention sinks (gpt-oss)"))
    if model.rope_scaling and model.rope_scaling.kind == "yarn":
        found.append(_lack("rope_scaling.kind", "yarn but in latent attention (DeepSeek) and with sinks (gpt-oss)"))
    return found + _plain_experts(model)


def _deepseek(model: Model) -> list[Problem]:
    asked = {
        "attention_sinks": model.attention_sinks,
        "window": model.window,
        "attention_bias": model.attention_bias != "none",
        "qk_norm": model.qk_norm == "rms",
    }
    found = [_lack(key, f"{key} in latent attention (DeepSeek)") for key, there in asked.items() if there]
    return found + _plain_experts(model)


def _plain_experts(model: Model) -> list[Problem]:
    found = []
    if model.activation == "clamped_swiglu":
        found.append(_lack("activation", "clamped_swiglu but in gpt-oss"))
    if model.moe and model.moe.expert_bias:
        found.append(_lack("moe.expert_bias", "biases of experts but in gpt-oss"))
    return found


def _gpt_oss(model: Model) -> list[Problem]:
    """TorchTitan's gpt-oss takes its sizes from the config and all else for granted."""
    moe, scaling = model.moe, model.rope_scaling
    granted = {
        "attention_bias": (model.attention_bias, "all"),
        "qk_norm": (model.qk_norm, "none"),
        "activation": (model.activation, "clamped_swiglu"),
        "rope_scaling.kind": (scaling.kind if scaling else "yarn", "yarn"),
        "rope_scaling.mscale": ((scaling and scaling.mscale) or 1.0, 1.0),
        "moe.expert_bias": (bool(moe and moe.expert_bias), True),
        "moe.router.bias": (bool(moe and moe.router.bias), True),
        "moe.shared_ffn_size": (moe.shared_ffn_size if moe else 0, 0),
    }
    found = [
        _lack(key, f"{seen} with attention sinks (gpt-oss), only {has}")
        for key, (seen, has) in granted.items()
        if seen != has
    ]
    if not all(model.has_experts(layer) for layer in range(model.layers)):
        found.append(_lack("moe", "layer without experts with attention sinks (gpt-oss)"))
    return found


def _rope_scaling(scaling: RopeScaling) -> dict[str, Any]:
    if scaling.kind == "llama3":
        return {
            "scaling": "llama",
            "scaling_factor": scaling.factor,
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
            "original_max_position_embeddings": scaling.original_context,
        }
    return {
        "scaling": "yarn",
        "rope_factor": scaling.factor,
        "beta_fast": scaling.beta_fast,
        "beta_slow": scaling.beta_slow,
        "original_seq_len": scaling.original_context,
        "truncate": scaling.truncate,
    }


def _latent_attention(mla: Mla, scaling: RopeScaling | None) -> dict[str, Any]:
    return {
        "q_lora_rank": mla.query_rank or 0,
        "kv_lora_rank": mla.kv_rank,
        "qk_nope_head_dim": mla.nope_head_size,
        "qk_rope_head_dim": mla.rope_head_size,
        "v_head_dim": mla.value_head_size,
        "mscale": (scaling and scaling.mscale) or 1.0,
    }


def _experts(moe: Moe, layers: int) -> dict[str, Any]:
    router = moe.router
    return {
        "layers": [layer for layer in range(layers) if moe.is_in(layer)],
        "num_experts": moe.experts,
        "top_k": moe.active_experts,
        "hidden_dim": moe.ffn_size,
        "shared_hidden_dim": moe.shared_ffn_size,
        "score_func": router.score,
        "route_norm": router.normalize,
        "route_scale": router.scale,
        "num_expert_groups": router.groups,
        "num_limited_groups": router.active_groups,
        "bias": router.bias,
        "load_balance_coeff": None if router.balance == "none" else router.balance_rate,
    }
