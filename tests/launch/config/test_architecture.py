"""What the terms of a model must be to each other, by key and with the arithmetic."""

import dataclasses
from typing import Any

import pytest

from primus.launch.config.architecture import problems
from primus.launch.config.terms.model import Model
from tests import neutral

PRESETS = sorted(path.stem for path in (neutral.CONF / "model").glob("*.yaml"))
DEEPSEEK = neutral.model("deepseek_v3")


def faults(model: Model) -> list[str]:
    return [f"{problem.key}: {problem.message}" for problem in problems(model)]


def stretched(**changes: Any) -> Model:
    model = neutral.model("gpt_oss_20b")
    assert model.rope_scaling
    return dataclasses.replace(model, rope_scaling=dataclasses.replace(model.rope_scaling, **changes))


def mixed(**changes: Any) -> Model:
    assert DEEPSEEK.moe
    return dataclasses.replace(DEEPSEEK, moe=dataclasses.replace(DEEPSEEK.moe, **changes))


def routed(**changes: Any) -> Model:
    assert DEEPSEEK.moe
    return mixed(router=dataclasses.replace(DEEPSEEK.moe.router, **changes))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_goes_together(name: str) -> None:
    assert faults(neutral.model(name)) == []


def test_query_heads_must_share_key_value_heads_evenly() -> None:
    assert faults(neutral.model(kv_heads=3)) == [
        "model.kv_heads: 8 attention heads cannot share 3 key/value heads evenly: it must divide model.attention_heads"
    ]


def test_rotary_positions_need_an_even_head() -> None:
    assert faults(neutral.model(head_size=33)) == [
        "model.head_size: 33 is odd: rotary positions turn pairs of elements"
    ]
    assert DEEPSEEK.mla
    odd = dataclasses.replace(DEEPSEEK, mla=dataclasses.replace(DEEPSEEK.mla, rope_head_size=63))
    assert faults(odd) == ["model.mla.rope_head_size: 63 is odd: rotary positions turn pairs of elements"]


def test_either_the_head_size_or_latent_attention_says_how_large_heads_are() -> None:
    assert faults(neutral.model(head_size=None)) == ["model.head_size: missing: only model.mla can say it instead"]
    assert faults(dataclasses.replace(DEEPSEEK, head_size=128)) == [
        "model.head_size: 128 must be null where model.mla says the sizes of the heads"
    ]


def test_latent_attention_shares_no_keys_and_values() -> None:
    assert faults(dataclasses.replace(DEEPSEEK, kv_heads=8)) == [
        "model.kv_heads: 8 must be model.attention_heads 128: with model.mla every head has its own keys and values"
    ]


def test_a_stretch_of_positions_has_the_keys_of_its_kind_and_no_others() -> None:
    assert faults(stretched(beta_fast=None)) == [
        "model.rope_scaling.beta_fast: missing: a stretch of the kind yarn needs it"
    ]
    assert faults(stretched(low_frequency_factor=1.0)) == [
        "model.rope_scaling.low_frequency_factor: belongs to the kind llama3, and model.rope_scaling.kind is yarn"
    ]


def test_the_borders_of_a_stretch_must_not_cross_but_may_meet() -> None:
    assert faults(stretched(beta_fast=0.5)) == [
        "model.rope_scaling.beta_fast: 0.5 must not be below model.rope_scaling.beta_slow 1.0"
    ]
    low = dataclasses.replace(neutral.model("llama3.1_8b"), rope_scaling=neutral.llama3_scaling(low=5.0))
    assert faults(low) == [
        "model.rope_scaling.high_frequency_factor: 4.0 must not be below model.rope_scaling.low_frequency_factor 5.0"
    ]
    scout = neutral.model("llama4_scout").rope_scaling
    assert scout
    assert scout.low_frequency_factor == scout.high_frequency_factor


def test_a_token_cannot_choose_more_experts_than_there_are() -> None:
    assert "model.moe.active_experts: 300 is more than model.moe.experts 256" in faults(mixed(active_experts=300))
    assert faults(mixed(active_experts=130)) == [
        "model.moe.active_experts: 130 is more than 4 active groups x 32 experts of each"
    ]


def test_the_first_layer_with_experts_must_be_there() -> None:
    assert faults(mixed(first_layer=61)) == ["model.moe.first_layer: 61 must be below model.layers 61"]


def test_groups_of_experts_must_be_of_one_size_with_two_or_more() -> None:
    assert faults(routed(groups=6)) == [
        "model.moe.router.groups: 6 groups of two experts or more cannot share 256 evenly"
    ]
    assert "model.moe.router.groups: 256 groups of two experts or more cannot share 256 evenly" in faults(
        routed(groups=256)
    )
    assert faults(routed(active_groups=9)) == [
        "model.moe.router.active_groups: 9 is more than model.moe.router.groups 8"
    ]
    assert faults(routed(active_groups=None)) == [
        "model.moe.router.active_groups: None, but model.moe.router.groups is 8: both are needed or neither"
    ]
