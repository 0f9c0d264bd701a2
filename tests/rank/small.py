"""Presets made small: a few layers, each with every part that the preset has."""

import dataclasses

from primus.launch.config.terms.model import Mla, Model, Moe
from tests import neutral


def small(preset: str) -> Model:
    """The preset with a few thousand parameters and the vocabulary of bytes."""
    model = neutral.model(preset)
    return dataclasses.replace(
        model,
        hidden_size=64,
        layers=4,
        attention_heads=4,
        kv_heads=min(4, 4 * model.kv_heads // model.attention_heads) or 2,
        head_size=None if model.mla else 16,
        ffn_size=96,
        vocabulary=258,
        window=16 if model.window else None,
        chunk=32 if model.chunk else None,
        mla=_latent_attention(model.mla) if model.mla else None,
        moe=_experts(model.moe) if model.moe else None,
    )


def _latent_attention(mla: Mla) -> Mla:
    return Mla(query_rank=mla.query_rank and 32, kv_rank=32, nope_head_size=16, rope_head_size=8, value_head_size=16)


def _experts(moe: Moe) -> Moe:
    groups = {"groups": 4, "active_groups": 2} if moe.router.groups else {}
    return dataclasses.replace(
        moe,
        experts=8,
        active_experts=min(2, moe.active_experts),
        ffn_size=32,
        shared_ffn_size=32 if moe.shared_ffn_size else 0,
        first_layer=min(1, moe.first_layer),
        router=dataclasses.replace(moe.router, **groups),
    )
