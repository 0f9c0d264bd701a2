"""A neutral model in the arguments of Megatron (megatron/training/arguments.py, megatron-core 0.19)."""

from collections.abc import Iterable
from typing import Any

from primus.launch.config.terms.model import Mla, Model, Moe, RopeScaling, Router
from primus.launch.config.terms.training import Training

Arguments = dict[str, Any]

YARN = {"beta_fast": 32.0, "beta_slow": 1.0}
"""Megatron's defaults, which DeepSeek and gpt-oss have."""

LLAMA3 = (1.0, 4.0, 8192)
"""Low and high frequency factor and original context of Megatron's llama3 scaling: `RotaryEmbedding._apply_scaling`."""

GPT_OSS_CLAMP = 7.0
"""`swiglu_limit` in https://huggingface.co/openai/gpt-oss-20b/blob/main/config.json."""


def architecture(model: Model, training: Training) -> Arguments:
    """The arguments that say what is built. The vocabulary is not padded but to a multiple of tensor parallelism.

    Embeddings begin as in TorchTitan and MaxText (standard deviation 1), not with Megatron's 0.02: RMSNorm makes such
    small ones as large, and their gradients 50 times larger. The tiny model began with a gradient norm of 14 in place
    of 1.7, and its loss sprang up when the learning rate was at its highest.
    """
    return {
        "num_layers": model.layers,
        "hidden_size": model.hidden_size,
        "ffn_hidden_size": model.ffn_size,
        "num_attention_heads": model.attention_heads,
        "max_position_embeddings": model.context,
        "vocab_size": model.vocabulary,
        "make_vocab_size_divisible_by": 1,
        "untie_embeddings_and_output_weights": not model.tied_embeddings,
        **({} if model.tied_embeddings else {"embedding_init_method_std": 1.0}),
        "normalization": "RMSNorm",
        "layernorm_epsilon": model.norm_epsilon,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "add_bias_linear": model.attention_bias == "all",
        "add_qkv_bias": model.attention_bias != "none",
        **_activation(model),
        **_attention(model),
        **_positions(model),
        **(_experts(model, model.moe, training) if model.moe else {}),
    }


def frequencies(model: Model) -> dict[str, Any] | None:
    """What stretches the rotary positions where Megatron's own arguments cannot say it; the rank does it then."""
    scaling = model.rope_scaling
    if scaling is None or scaling.kind != "llama3" or _thresholds(scaling) == LLAMA3:
        return None
    low, high, original = _thresholds(scaling)
    return {
        "factor": scaling.factor,
        "low_frequency_factor": low,
        "high_frequency_factor": high,
        "original_context": original,
    }


def _thresholds(scaling: RopeScaling) -> tuple[float | None, float | None, int]:
    return scaling.low_frequency_factor, scaling.high_frequency_factor, scaling.original_context


def _pattern(layers: Iterable[bool]) -> str:
    """1 for each layer that is meant: `[0,1,1]`, without spaces as Megatron wants it."""
    return f"[{','.join(str(int(meant)) for meant in layers)}]"


def _activation(model: Model) -> Arguments:
    if model.activation == "swiglu":
        return {"swiglu": True}
    # x sigmoid(1.702 x) is Megatron's quick GELU; the linear half has 1 added (gpt-oss, `swiglu` in its model.py).
    return {"quick_geglu": True, "glu_linear_offset": 1.0, "activation_func_clamp_value": GPT_OSS_CLAMP}


def _attention(model: Model) -> Arguments:
    if model.mla:
        return _latent(model.mla)
    arguments: Arguments = {
        "kv_channels": model.head_size,
        "qk_layernorm": model.qk_norm == "rms",
        "qk_l2_norm": model.qk_norm == "l2",
    }
    if model.kv_heads != model.attention_heads:
        arguments |= {"group_query_attention": True, "num_query_groups": model.kv_heads}
    if model.attention_sinks:
        arguments["softmax_type"] = "learnable"
    if model.window:
        # Positions to the left and to the right; a token counts itself among the `window` that it sees, as in Hugging
        # Face's sliding_window. Frequency 2: layers 2, 4, ... (from 1) see everything.
        arguments |= {"window_size": f"{model.window - 1},0", "window_attn_skip_freq": "2"}
    return arguments


def _latent(mla: Mla) -> Arguments:
    return {
        "multi_latent_attention": True,
        "qk_layernorm": True,  # of the compressed queries, keys and values
        "q_lora_rank": mla.query_rank,
        "kv_lora_rank": mla.kv_rank,
        "qk_head_dim": mla.nope_head_size,
        "qk_pos_emb_head_dim": mla.rope_head_size,
        "v_head_dim": mla.value_head_size,
        "kv_channels": mla.value_head_size,
    }


def _positions(model: Model) -> Arguments:
    arguments: Arguments = {"position_embedding_type": "rope", "rotary_base": int(model.rope_theta)}
    if model.rope_skip:
        every = model.rope_skip
        arguments["no_rope_freq"] = _pattern(layer % every == 0 for layer in range(1, model.layers + 1))
    if model.mla:
        arguments["rope_type"] = "rope"
    scaling = model.rope_scaling
    if scaling and scaling.kind == "llama3":
        if _thresholds(scaling) == LLAMA3:
            arguments |= {"use_rope_scaling": True, "rope_scaling_factor": scaling.factor}
    elif scaling:
        arguments |= _yarn(scaling, latent=model.mla is not None)
    return arguments


def _yarn(scaling: RopeScaling, *, latent: bool) -> Arguments:
    mscale = 1.0 if scaling.mscale is None else scaling.mscale
    if latent:  # the softmax is scaled; the original context and the betas are Megatron's defaults, checked by `lacks`
        factors = {"mscale": mscale, "mscale_all_dim": mscale}
        return {"rope_type": "yarn", "rotary_scaling_factor": scaling.factor, **factors}
    return {  # queries and keys are scaled
        "position_embedding_type": "yarn",
        "rotary_scaling_factor": scaling.factor,
        "yarn_original_max_position_embeddings": scaling.original_context,
        "yarn_beta_fast": scaling.beta_fast or YARN["beta_fast"],
        "yarn_beta_slow": scaling.beta_slow or YARN["beta_slow"],
        "yarn_correction_range_round_to_int": scaling.truncate,
        "mscale": mscale,
        "mscale_all_dim": 0.0,
    }


def _experts(model: Model, moe: Moe, training: Training) -> Arguments:
    router = moe.router
    arguments: Arguments = {
        "num_experts": moe.experts,
        "moe_router_topk": moe.active_experts,
        "moe_ffn_hidden_size": moe.ffn_size,
        "moe_layer_freq": _pattern(model.has_experts(layer) for layer in range(model.layers)),
        "moe_router_score_function": router.score,
        # Softmax over all experts and no second norm, or over the chosen ones alone, which makes them sum to 1.
        "moe_router_pre_softmax": router.score == "softmax" and not router.normalize,
        "moe_router_dtype": "fp32",
        "moe_apply_probs_on_input": router.before_experts,
        "moe_token_dispatcher_type": "alltoall",
        **_balance(router),
    }
    if router.scale != 1:
        arguments["moe_router_topk_scaling_factor"] = router.scale
    if router.groups:
        arguments |= {"moe_router_num_groups": router.groups, "moe_router_group_topk": router.active_groups}
    if moe.shared_ffn_size:
        arguments["moe_shared_expert_intermediate_size"] = moe.shared_ffn_size
    if moe.expert_bias and training.parallel.tensor > 1:
        arguments["expert_tensor_parallel_size"] = 1  # Megatron has biases in whole experts alone
    return arguments


def _balance(router: Router) -> Arguments:
    """`auto`: Megatron has the bias with sigmoid scores alone."""
    by = router.balance
    if by == "auto":
        by = "bias" if router.score == "sigmoid" else "loss"
    return {
        "moe_router_load_balancing_type": ["aux_loss" if by == "loss" else "none"],
        "moe_aux_loss_coeff": [router.balance_rate if by == "loss" else 0.0],
        **(
            {"moe_router_enable_expert_bias": True, "moe_router_bias_update_rate": router.balance_rate}
            if by == "bias"
            else {}
        ),
    }
