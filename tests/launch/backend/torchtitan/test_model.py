"""The model in TorchTitan's terms, and what its models lack."""

import dataclasses
from typing import Any

import pytest

from primus.launch.backend.torchtitan.model import dimensions, family, lacks
from primus.launch.config.terms.model import Model
from tests import neutral

PRESETS = sorted(path.stem for path in (neutral.CONF / "model").glob("*.yaml"))


def missing(model: Model) -> dict[str, str]:
    return {problem.key: problem.message for problem in lacks(model)}


def with_router(model: Model, **changes: Any) -> Model:
    assert model.moe
    router = dataclasses.replace(model.moe.router, **changes)
    return dataclasses.replace(model, moe=dataclasses.replace(model.moe, router=router))


def test_every_neutral_term_of_a_dense_model_has_its_name() -> None:
    assert dimensions(neutral.model("llama3.2_1b"), 4096) == {
        "name": "llama3",
        "flavor": "llama3.2_1b",
        "dim": 2048,
        "n_layers": 16,
        "n_heads": 32,
        "n_kv_heads": 8,
        "head_dim": 64,
        "hidden_dim": 8192,
        "vocab_size": 128256,
        "norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "scaling": "llama",
            "scaling_factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "max_seq_len": 4096,
        "enable_weight_tying": True,
        "qkv_bias": False,
        "qk_norm": False,
        "sliding_window_size": None,
        "mla": None,
        "moe": None,
    }


def test_latent_attention_and_experts_have_their_names() -> None:
    deepseek = dimensions(dataclasses.replace(neutral.model("deepseek_v3"), layers=5), 4096)
    assert deepseek["name"] == "deepseek_v3"
    assert deepseek["head_dim"] is None
    assert deepseek["rope_scaling"] == {
        "scaling": "yarn",
        "rope_factor": 40.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "original_seq_len": 4096,
        "truncate": True,
    }
    assert deepseek["mla"] == {
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "mscale": 1.0,
    }
    assert deepseek["moe"] == {
        "layers": [3, 4],
        "num_experts": 256,
        "top_k": 8,
        "hidden_dim": 2048,
        "shared_hidden_dim": 2048,
        "score_func": "sigmoid",
        "route_norm": True,
        "route_scale": 2.5,
        "num_expert_groups": 8,
        "num_limited_groups": 4,
        "bias": False,
        "load_balance_coeff": 0.001,
    }


def test_queries_that_are_projected_at_once_have_the_rank_0() -> None:
    assert dimensions(neutral.model("deepseek_v2_lite"), 4096)["mla"]["q_lora_rank"] == 0


def test_a_model_is_made_of_the_blocks_of_the_nearest_folder() -> None:
    assert {name: family(neutral.model(name)) for name in PRESETS if not name.startswith(("llama", "tiny"))} == {
        "deepseek_v2": "deepseek_v3",
        "deepseek_v2_lite": "deepseek_v3",
        "deepseek_v3": "deepseek_v3",
        "gpt_oss_120b": "gpt_oss",
        "gpt_oss_20b": "gpt_oss",
        "mixtral_8x22b": "qwen3",
        "mixtral_8x7b": "qwen3",
        "qwen2.5_72b": "qwen3",
        "qwen2.5_7b": "qwen3",
        "qwen3_0.6b": "qwen3",
        "qwen3_235b_a22b": "qwen3",
        "qwen3_30b_a3b": "qwen3",
        "qwen3_32b": "qwen3",
        "qwen3_8b": "qwen3",
    }


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("llama4")])
def test_nothing_is_lacking_for_the_presets_but_llama_4(name: str) -> None:
    assert missing(neutral.model(name)) == {}


def test_what_llama_4_has_is_lacking_by_name() -> None:
    assert missing(neutral.model("llama4_maverick")) == {
        "model.rope_skip": "TorchTitan 0.3.0 has no Llama 4, nor its layers without rotary positions",
        "model.temperature_tuning": "TorchTitan 0.3.0 has no Llama 4, nor its queries that grow with the position",
        "model.chunk": "TorchTitan 0.3.0 has no Llama 4, nor its chunked attention",
        "model.moe.router.before_experts": "TorchTitan 0.3.0 has no Llama 4, nor its scores that multiply an expert's "
        "input, not its output",
    }
    assert "norm of queries and keys after" in missing(neutral.model("llama4_scout"))["model.qk_norm"]


def test_experts_are_balanced_by_a_bias_or_not_at_all() -> None:
    qwen = neutral.model("qwen3_30b_a3b")
    assert dimensions(with_router(qwen, balance="none"), 64)["moe"]["load_balance_coeff"] is None
    assert dimensions(with_router(qwen, balance="bias", balance_rate=0.01), 64)["moe"]["load_balance_coeff"] == 0.01
    assert missing(with_router(qwen, balance="loss")) == {
        "model.moe.router.balance": "TorchTitan 0.3.0 has no loss that balances experts; it moves a bias: "
        "model.moe.router.balance=bias"
    }


@pytest.mark.parametrize(
    ("preset", "changes", "keys"),
    [
        ("llama3_8b", {"window": 1024}, {"window"}),
        ("llama3_8b", {"attention_bias": "all"}, {"attention_bias"}),
        ("llama3_8b", {"activation": "clamped_swiglu"}, {"activation"}),
        (
            "llama3_8b",
            {"attention_sinks": True},
            {"attention_bias", "activation", "moe.expert_bias", "moe.router.bias", "moe"},
        ),
        ("qwen3_8b", {"rope_scaling": neutral.model("deepseek_v3").rope_scaling}, {"rope_scaling.kind"}),
        ("deepseek_v3", {"window": 1024, "qk_norm": "rms"}, {"window", "qk_norm"}),
        ("deepseek_v3", {"attention_sinks": True, "attention_bias": "qkv"}, {"attention_sinks", "attention_bias"}),
        ("gpt_oss_20b", {"activation": "swiglu", "qk_norm": "rms"}, {"activation", "qk_norm"}),
        ("gpt_oss_20b", {"rope_scaling": neutral.llama3_scaling()}, {"rope_scaling.kind"}),
    ],
)
def test_parts_that_torchtitan_has_only_together_are_named_apart(
    preset: str, changes: dict[str, Any], keys: set[str]
) -> None:
    found = missing(dataclasses.replace(neutral.model(preset), **changes))
    assert {key.removeprefix("model.") for key in found} == keys
