"""The model by MaxText's own parameters (configs/base.yml of 0.2.5), and what they cannot say."""

import math
from typing import Any

from primus.launch.backend.maxtext import blocks
from primus.launch.config.terms.model import Mla, Model, Moe, RopeScaling
from primus.node.typed import Problem

# MaxText routes in groups of experts, and keeps a bias that balances them out of the gradients, by the model's name
# alone (`startswith("deepseek3")` in layers/moe.py of 0.2.5). Every size of that model is overridden.
_DEEPSEEK_3 = "deepseek3-671b"


_EXPERTS_ALONE = ("mixtral", "qwen3_moe", "gpt_oss")  # both sizes of an FFN must be that of an expert


def options(model: Model) -> dict[str, Any]:
    """MaxText's parameters of a model that MaxText does not lack (`lacks`)."""
    found = blocks.block(model)
    assert found is not None
    return {
        "decoder_block": found.name,
        "base_emb_dim": model.hidden_size,
        "base_num_decoder_layers": model.layers,
        "base_num_query_heads": model.attention_heads,
        "base_num_kv_heads": model.kv_heads,
        "head_dim": model.head_size or 128,  # unused by latent attention
        "base_mlp_dim": model.ffn_size,
        "mlp_activations": ["silu", "linear"],
        "vocab_size": model.vocabulary,
        "normalization_layer_epsilon": model.norm_epsilon,
        "logits_via_embedding": model.tied_embeddings,
        "normalize_embedding_logits": False,
        "enable_dropout": False,
        "attention_bias": model.attention_bias != "none",
        "use_qk_norm": model.qk_norm != "none",
        "rope_max_timescale": int(model.rope_theta),
        **_positions(model),
        **(_latent_attention(model.mla) if model.mla else {}),
        **(_experts(model.moe) if model.moe else {}),
        **({"base_mlp_dim": model.moe.ffn_size} if model.moe and found.name in _EXPERTS_ALONE else {}),
        **(_gpt_oss(model) if found.name == "gpt_oss" else {}),
        **(_llama4(model) if found.name == "llama4" else {}),
    }


def lacks(model: Model) -> list[Problem]:
    """What no decoder block of MaxText has, or not together with the rest, and numbers that it has no room for."""
    found = blocks.lacks(model)
    if model.rope_theta != int(model.rope_theta):
        found.append(Problem("model.rope_theta", f"MaxText takes a whole number, not {model.rope_theta}"))
    if model.rope_scaling and model.rope_scaling.kind == "yarn":
        found += _yarn_lacks(model.rope_scaling, latent=model.mla is not None)
    name = getattr(blocks.block(model), "name", None)
    if model.moe and model.moe.shared_ffn_size % model.moe.ffn_size:
        found.append(
            Problem("model.moe.shared_ffn_size", "MaxText's shared experts are as large as the others: not a multiple")
        )
    if name == "llama4" and model.moe and model.moe.first_layer != model.moe.interval - 1:
        found.append(
            Problem("model.moe.first_layer", "MaxText's llama4 has experts in the last layer of each interval")
        )
    cycle = _cycle(model) if name in ("llama4", "gpt_oss") else 1
    if model.layers % cycle:
        found.append(Problem("model.layers", f"MaxText's {name} repeats {cycle} layers: it must be a multiple of that"))
    return found


def _positions(model: Model) -> dict[str, Any]:
    scaling = model.rope_scaling
    if scaling is None:
        return {"rope_type": "default"}
    if scaling.kind == "llama3":
        return {"rope_type": "llama3.1"}  # its factors are in MaxText's code: `stretch` of rank.json
    return {
        "rope_type": "yarn",
        "rope_factor": int(scaling.factor),
        "max_position_embeddings": model.context,
        "original_max_position_embeddings": scaling.original_context,
        "beta_fast": int(scaling.beta_fast or 32),
        "beta_slow": int(scaling.beta_slow or 1),
        "mscale": scaling.mscale or 1.0,
        "rope_truncate": scaling.truncate,
        "rope_interleave": model.mla is not None,
        "rope_attention_scaling": model.mla is None,  # latent attention scales its logits by mscale itself
    }


def stretch(scaling: RopeScaling | None) -> dict[str, float] | None:
    """How Llama 3.1 stretches positions, for the rank to put in the place of MaxText's own numbers."""
    if scaling is None or scaling.kind != "llama3":
        return None
    return {
        "factor": scaling.factor,
        "low_frequency_factor": scaling.low_frequency_factor or 1.0,
        "high_frequency_factor": scaling.high_frequency_factor or 4.0,
        "original_context": float(scaling.original_context),
    }


def _yarn_lacks(scaling: RopeScaling, *, latent: bool) -> list[Problem]:
    whole = {"factor": scaling.factor, "beta_fast": scaling.beta_fast or 32, "beta_slow": scaling.beta_slow or 1}
    found = [
        Problem(f"model.rope_scaling.{key}", f"MaxText takes a whole number, not {value}")
        for key, value in whole.items()
        if value != int(value)
    ]
    if not latent and scaling.mscale not in (None, 1.0):
        found.append(Problem("model.rope_scaling.mscale", "MaxText has none but 1.0 without latent attention (mla)"))
    return found


def _latent_attention(mla: Mla) -> dict[str, Any]:
    return {
        "attention_type": "mla",
        "q_lora_rank": mla.query_rank or 0,
        "kv_lora_rank": mla.kv_rank,
        "qk_nope_head_dim": mla.nope_head_size,
        "qk_rope_head_dim": mla.rope_head_size,
        "v_head_dim": mla.value_head_size,
    }


def _experts(moe: Moe) -> dict[str, Any]:
    router = moe.router
    by_bias = router.balance == "bias"
    named = by_bias or router.groups
    return {
        "num_experts": moe.experts,
        "num_experts_per_tok": moe.active_experts,
        "base_moe_mlp_dim": moe.ffn_size,
        "shared_experts": moe.shared_ffn_size // moe.ffn_size,
        "first_num_dense_layers": moe.first_layer if moe.interval == 1 else 0,
        "routed_score_func": ""
        if router.before_experts or (router.score, router.normalize) == ("softmax", True)
        else router.score,
        "norm_topk_prob": False,  # MaxText's softmax over the chosen experts sums to 1 already
        "routed_scaling_factor": router.scale,
        "routed_bias": router.bias or by_bias,
        "routed_bias_update_rate": router.balance_rate if by_bias else 0.0,
        "load_balance_loss_weight": router.balance_rate if router.balance in ("loss", "auto") else 0.0,
        "n_routing_groups": router.groups or -1,
        "topk_routing_group": router.active_groups or -1,
        "mlp_bias": moe.expert_bias,
        "megablox": False,  # a kernel for TPUs; XLA's own ragged product runs on every device
        **({"model_name": _DEEPSEEK_3, "override_model_config": True} if named else {}),
    }


def _gpt_oss(model: Model) -> dict[str, Any]:
    return {
        "attention_sink": model.attention_sinks,
        "sliding_window_size": model.window,
        "mlp_activations": ["sigmoid", "linear"],
        "mlp_activations_limit": 7.0,
        "inhomogeneous_layer_cycle_interval": _cycle(model),
    }


def _llama4(model: Model) -> dict[str, Any]:
    assert model.moe is not None
    return {
        "nope_layer_interval": model.rope_skip,
        "interleave_moe_layer_step": model.moe.interval,
        "inhomogeneous_layer_cycle_interval": _cycle(model),
        "chunk_attn_window_size": model.chunk,
        "temperature_tuning": model.temperature_tuning,
    }


def _cycle(model: Model) -> int:
    """After how many layers their pattern repeats."""
    interval = model.moe.interval if model.moe else 1
    return math.lcm(2 if model.window else 1, model.rope_skip or 1, interval)
