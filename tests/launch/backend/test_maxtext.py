"""The neutral terms in those of MaxText, without MaxText."""

from typing import Any

import pytest

from primus.launch.backend.maxtext import lacks, rank_config
from primus.launch.config.terms.model import Model
from primus.node.typed import plain
from tests import neutral

DATA = neutral.data("text")
PRESETS = sorted(path.stem for path in (neutral.CONF / "model").glob("*.yaml"))


def options(model: Model | None = None, **changes: Any) -> dict[str, Any]:
    found = rank_config(model or neutral.model(), DATA, neutral.training(**changes))["options"]
    assert isinstance(found, dict)
    return found


def problems(model: Model | None = None, world_size: int | None = None, **changes: Any) -> dict[str, str]:
    """Message by key."""
    training = neutral.training(**changes)
    return {p.key: p.message for p in lacks(model or neutral.model(), DATA, training, world_size)}


def test_every_neutral_term_has_its_name_in_maxtext() -> None:
    training = neutral.training(
        seed=7,
        sequence_length=128,
        global_batch=16,
        schedule=plain(neutral.schedule(warmup_steps=30)),
        parallel=plain(neutral.parallel(tensor=2, replicate=3)),
    )
    assert rank_config(neutral.model(), DATA, training) == {
        "options": {
            "decoder_block": "llama2",
            "base_emb_dim": 256,
            "base_num_decoder_layers": 4,
            "base_num_query_heads": 8,
            "base_num_kv_heads": 4,
            "head_dim": 32,
            "base_mlp_dim": 688,
            "mlp_activations": ["silu", "linear"],
            "vocab_size": 258,
            "normalization_layer_epsilon": 1e-5,
            "logits_via_embedding": False,
            "normalize_embedding_logits": False,
            "enable_dropout": False,
            "attention_bias": False,
            "use_qk_norm": False,
            "rope_max_timescale": 10000,
            "rope_type": "default",
            "steps": 150,
            "max_target_length": 128,
            "init_weights_seed": 7,
            "data_shuffle_seed": 7,
            "gradient_clipping_threshold": 1.0,
            "dtype": "auto",
            "weight_dtype": "float32",
            "remat_policy": "none",
            "opt_type": "adamw",
            "learning_rate": 2e-3,
            "adam_b1": 0.9,
            "adam_b2": 0.95,
            "adam_eps": 1e-8,
            "adam_weight_decay": 0.1,
            "lr_schedule_type": "cosine",
            "learning_rate_schedule_steps": 150,
            "warmup_steps_fraction": 0.2,
            "wsd_decay_steps_fraction": 0.0,
            "wsd_decay_style": "linear",
            "learning_rate_final_fraction": 0.1,
            "ici_data_parallelism": 3,
            "ici_fsdp_parallelism": -1,
            "ici_tensor_parallelism": 2,
            "ici_pipeline_parallelism": 1,
            "ici_context_parallelism": 1,
            "ici_expert_parallelism": 1,
            "dcn_data_parallelism": 1,
            "num_slices": 1,
        },
        "batch": {"micro": 4, "global": 16, "per_sequence": 2, "pipeline": 1},
        "precision": "auto",
        "stretch": None,
    }


def test_a_latent_attention_with_experts_is_deepseeks() -> None:
    plain_model, model = options(), options(neutral.model("deepseek_v3"))
    assert {name: model[name] for name in model if model[name] != plain_model.get(name)} == {
        "decoder_block": "deepseek",
        "base_emb_dim": 7168,
        "base_num_decoder_layers": 61,
        "base_num_query_heads": 128,
        "base_num_kv_heads": 128,
        "head_dim": 128,
        "base_mlp_dim": 18432,
        "vocab_size": 129280,
        "normalization_layer_epsilon": 1e-6,
        "rope_type": "yarn",
        "rope_factor": 40,
        "max_position_embeddings": 163840,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "rope_truncate": True,
        "rope_interleave": True,
        "rope_attention_scaling": False,
        "attention_type": "mla",
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "base_moe_mlp_dim": 2048,
        "shared_experts": 1,
        "first_num_dense_layers": 3,
        "routed_score_func": "sigmoid",
        "norm_topk_prob": False,
        "routed_scaling_factor": 2.5,
        "routed_bias": True,
        "routed_bias_update_rate": 0.001,
        "load_balance_loss_weight": 0.0,
        "n_routing_groups": 8,
        "topk_routing_group": 4,
        "mlp_bias": False,
        "megablox": False,
        "model_name": "deepseek3-671b",
        "override_model_config": True,
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_maxtext_has_a_block_for_every_preset(preset: str) -> None:
    model = neutral.model(preset)
    assert problems(model) == {}
    blocks = {"mixtral": "mixtral", "gpt": "gpt_oss", "llama4": "llama4", "deepseek": "deepseek", "qwen2.5": "qwen2"}
    expected = blocks.get(preset.split("_")[0], "qwen3" if preset.startswith("qwen3") else "llama2")
    assert options(model)["decoder_block"] == expected + ("_moe" if expected == "qwen3" and model.moe else "")


def test_a_schedule_is_given_in_shares() -> None:
    names = ("lr_schedule_type", "learning_rate_schedule_steps", "warmup_steps_fraction", "wsd_decay_steps_fraction")

    def schedule(**changes: Any) -> tuple[Any, ...]:
        found = options(steps=10, schedule=plain(neutral.schedule(**changes)))
        return tuple(found[name] for name in names)

    assert schedule(name="linear", steps=20, warmup_steps=5) == ("wsd", 20, 0.25, 0.75)
    assert schedule(name="constant") == ("wsd", 10, 0.1, 0.0)
    assert schedule(name="cosine", steps=30) == ("cosine", 30, 0.1, 0.0)


def test_every_choice_of_the_training_has_its_option() -> None:
    assert options(activation_checkpointing="full")["remat_policy"] == "full"
    assert options(activation_checkpointing="selective")["remat_policy"] == "minimal_with_context"
    assert [options(precision=p)["dtype"] for p in ("fp32", "bf16", "fp8")] == ["float32", "bfloat16", "bfloat16"]
    split = options(parallel=plain(neutral.parallel(tensor=4, sequence=True)))
    assert (split["ici_tensor_sequence_parallelism"], split.get("ici_tensor_parallelism")) == (4, None)


def test_positions_stretched_as_llama_3_2_are_told_to_the_rank() -> None:
    model = neutral.model("llama3.2_1b")
    assert options(model)["rope_type"] == "llama3.1"
    assert rank_config(model, DATA, neutral.training())["stretch"] == {
        "factor": 32.0,
        "low_frequency_factor": 1.0,
        "high_frequency_factor": 4.0,
        "original_context": 8192.0,
    }


def test_a_model_that_no_block_fits_is_told_what_the_nearest_one_lacks() -> None:
    assert problems(neutral.model(window=64)) == {
        "model.window": "MaxText's nearest decoder block, llama2, lacks a window in every second layer"
    }
    moe = plain(neutral.model("mixtral_8x7b").moe)
    router = moe["router"] | {"score": "sigmoid"}
    assert list(problems(neutral.model(moe=moe | {"router": router}))) == ["model.moe.router.score"]
    assert list(problems(neutral.model(moe=moe | {"interval": 2}))) == ["model.moe.interval"]
    gpt = plain(neutral.model("gpt_oss_20b"))
    assert list(problems(neutral.model("gpt_oss_20b", layers=23))) == ["model.layers"]
    assert list(problems(neutral.model("gpt_oss_20b", activation="swiglu"))) == ["model.activation"]
    scaling = gpt["rope_scaling"] | {"mscale": 0.7, "beta_fast": 30.5}
    assert list(problems(neutral.model("gpt_oss_20b", rope_scaling=scaling))) == [
        "model.rope_scaling.beta_fast",
        "model.rope_scaling.mscale",
    ]
    assert list(problems(neutral.model(rope_theta=10000.5))) == ["model.rope_theta"]


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    tensor = plain(neutral.parallel(tensor=8))
    assert problems(micro_batch=4, parallel=tensor) == {
        "task.micro_batch": "MaxText deals every batch out to all ranks: 4 is not a multiple of tensor 8 x context 1"
    }
    assert list(problems(parallel=plain(neutral.parallel(pipeline=2)))) == ["task.global_batch"]
    both = plain(neutral.parallel(tensor=2, sequence=True, context=2))
    assert list(problems(parallel=both)) == ["task.parallel.sequence"]


def test_what_hangs_on_the_number_of_ranks_is_refused_where_that_is_known() -> None:
    pipeline = {"global_batch": 24, "micro_batch": 4, "parallel": plain(neutral.parallel(pipeline=4))}
    assert problems(**pipeline) == {}
    assert problems(world_size=4, **pipeline) == {
        "task.global_batch": "MaxText's pipeline needs a multiple of 4 micro batches in a step, and 24 sequences are "
        "6 of task.micro_batch 4 on 1 data-parallel ranks"
    }
    assert problems(world_size=4, **pipeline | {"global_batch": 32}) == {}
    experts = plain(neutral.parallel(context=2, expert=8))
    assert problems(neutral.model("mixtral_8x7b"), 8, parallel=experts) == {
        "task.parallel.expert": "MaxText takes the 8 ranks of the experts out of those that shard the weights, and 8 "
        "ranks are not a multiple of all degrees together, 16"
    }
    assert problems(neutral.model("mixtral_8x7b"), 16, parallel=experts) == {}
