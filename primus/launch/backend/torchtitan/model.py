"""The model in TorchTitan's terms: the `model` of rank.json."""

from typing import Any

from primus.launch.config.terms.model import Model, RopeScaling


def dimensions(model: Model, sequence_length: int) -> dict[str, Any]:
    """By the names of `primus.rank.torchtitan.model.Dimensions`."""
    return {
        "name": "llama3",
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
        "rope_scaling": _rope_scaling(model.rope_scaling) if model.rope_scaling else None,
        "max_seq_len": sequence_length,
        "enable_weight_tying": model.tied_embeddings,
    }


def _rope_scaling(scaling: RopeScaling) -> dict[str, Any]:
    return {
        "scaling_factor": scaling.factor,
        "low_freq_factor": scaling.low_frequency_factor,
        "high_freq_factor": scaling.high_frequency_factor,
        "original_max_position_embeddings": scaling.original_context,
    }
