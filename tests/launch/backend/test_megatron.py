"""The neutral terms in those of Megatron, without Megatron."""

import dataclasses
import math
import subprocess
import sys
from typing import Any

import pytest

from primus.launch.backend.megatron import lacks, rank_config
from primus.launch.backend.megatron.training import stages
from primus.launch.config.terms.model import Model
from primus.node.typed import plain
from tests import neutral

MODEL = neutral.model(name="small")
TRAINING = neutral.training(
    seed=7,
    sequence_length=128,
    global_batch=16,
    schedule=plain(neutral.schedule(warmup_steps=10)),
    parallel=plain(neutral.parallel(tensor=2, replicate=3)),
)
DATA = neutral.data("text", files="books/**/*.txt")


def arguments(model: Model = MODEL, **changes: Any) -> dict[str, Any]:
    """Megatron's, of a training with changes."""
    found = rank_config(model, DATA, dataclasses.replace(TRAINING, **changes))["arguments"]
    assert isinstance(found, dict)
    return found


def keys(model: Model = MODEL, **changes: Any) -> list[str]:
    """Of what Megatron lacks."""
    return [problem.key for problem in lacks(model, DATA, dataclasses.replace(TRAINING, **changes), None)]


def test_every_neutral_term_has_its_name_in_megatron() -> None:
    assert rank_config(MODEL, DATA, TRAINING) == {
        "arguments": {
            "num_layers": 4,
            "hidden_size": 256,
            "ffn_hidden_size": 688,
            "num_attention_heads": 8,
            "max_position_embeddings": 4096,
            "vocab_size": 258,
            "make_vocab_size_divisible_by": 1,
            "untie_embeddings_and_output_weights": True,
            "embedding_init_method_std": 1.0,
            "normalization": "RMSNorm",
            "layernorm_epsilon": 1e-5,
            "attention_dropout": 0.0,
            "hidden_dropout": 0.0,
            "add_bias_linear": False,
            "add_qkv_bias": False,
            "swiglu": True,
            "kv_channels": 32,
            "qk_layernorm": False,
            "qk_l2_norm": False,
            "group_query_attention": True,
            "num_query_groups": 4,
            "position_embedding_type": "rope",
            "rotary_base": 10000,
            "train_iters": 150,
            "seq_length": 128,
            "micro_batch_size": 4,
            "global_batch_size": 16,
            "seed": 7,
            "optimizer": "adam",
            "adam_beta1": 0.9,
            "adam_beta2": 0.95,
            "adam_eps": 1e-8,
            "weight_decay": 0.1,
            "clip_grad": 1.0,
            "lr": 2e-3,
            "min_lr": 2e-4,
            "lr_decay_style": "cosine",
            "lr_warmup_init": 2e-4,
            "lr_warmup_iters": 9,
            "lr_decay_iters": 149,
            "override_opt_param_scheduler": True,
            "tensor_model_parallel_size": 2,
            "pipeline_model_parallel_size": 1,
            "context_parallel_size": 1,
            "expert_model_parallel_size": 1,
            "eval_interval": 151,
            "eval_iters": 0,
            "log_interval": 10,
            "logging_level": 30,
            "tokenizer_type": "NullTokenizer",
            "create_attention_mask_in_dataloader": False,
        },
        "frequencies": None,
        "precision": "auto",
        "sequence_parallel": None,
        "replicate": 3,
        "steps": 150,
    }


def test_the_order_of_the_data_is_as_long_as_the_schedule() -> None:
    short = dataclasses.replace(TRAINING, steps=10, schedule=neutral.schedule(steps=20))
    whole = dataclasses.replace(TRAINING, steps=20)
    assert rank_config(MODEL, DATA, short)["steps"] == rank_config(MODEL, DATA, whole)["steps"] == 20
    assert arguments(steps=10, schedule=neutral.schedule(steps=20))["lr_decay_iters"] == 19


@pytest.mark.parametrize(("steps", "warmup"), [(20, 0), (20, 1), (20, 10), (20, 20), (1, 0), (1, 1)])
def test_the_learning_rate_warms_up_from_the_first_step_and_is_lowest_at_the_last(steps: int, warmup: int) -> None:
    found = arguments(steps=steps, schedule=neutral.schedule(warmup_steps=warmup))
    rates = [megatron_rate(found, step) for step in range(steps)]
    for step in range(1, warmup + 1):
        assert rates[step - 1] == pytest.approx(found["lr"] * step / warmup)
    for step in range(max(1, warmup), steps + 1):
        decay = (step - max(1, warmup)) / max(1, steps - max(1, warmup))
        expected = found["min_lr"] + (found["lr"] - found["min_lr"]) * (1 + math.cos(math.pi * decay)) / 2
        assert rates[step - 1] == pytest.approx(expected)


def megatron_rate(a: dict[str, Any], done: int) -> float:
    """`OptimizerParamScheduler.get_lr` of megatron-core 0.19.2 for a cosine, after so many steps."""
    assert a["lr_warmup_iters"] < a["lr_decay_iters"], "Megatron asserts it"
    if a["lr_warmup_iters"] > 0 and done <= a["lr_warmup_iters"]:
        return float(a["lr_warmup_init"] + (a["lr"] - a["lr_warmup_init"]) * done / a["lr_warmup_iters"])
    ratio = (done - a["lr_warmup_iters"]) / (a["lr_decay_iters"] - a["lr_warmup_iters"])
    return float(a["min_lr"] + 0.5 * (math.cos(math.pi * ratio) + 1.0) * (a["lr"] - a["min_lr"]))


def test_evaluation_and_recomputation_have_their_arguments() -> None:
    found = arguments(eval=neutral.evaluation(interval=5, steps=3), activation_checkpointing="full")
    assert (found["eval_interval"], found["eval_iters"]) == (5, 3)
    assert found["recompute_granularity"] == "full"
    assert arguments(activation_checkpointing="selective")["recompute_granularity"] == "selective"


def test_stages_of_unlike_length_are_spelt_out() -> None:
    assert "pipeline_model_parallel_layout" not in arguments(parallel=neutral.parallel(pipeline=2))
    assert arguments(parallel=neutral.parallel(pipeline=3))["pipeline_model_parallel_layout"] == "Et|tt|tL"
    for layers, pipeline in ((61, 16), (126, 16), (5, 4)):
        assert stages(layers, pipeline).count("t") == layers
        assert stages(layers, pipeline).count("|") == pipeline - 1


def test_biases_and_norms_of_attention_have_their_arguments() -> None:
    assert arguments(neutral.model("qwen2.5_7b"))["add_qkv_bias"]
    assert not arguments(neutral.model("qwen2.5_7b"))["add_bias_linear"]
    assert arguments(neutral.model("qwen3_8b"))["qk_layernorm"]
    assert arguments(neutral.model("llama4_scout"))["qk_l2_norm"]


def test_latent_attention_and_experts_have_their_arguments() -> None:
    found = arguments(neutral.model("deepseek_v3"))
    assert (
        found
        | {
            "multi_latent_attention": True,
            "q_lora_rank": 1536,
            "kv_lora_rank": 512,
            "qk_head_dim": 128,
            "qk_pos_emb_head_dim": 64,
            "v_head_dim": 128,
            "rope_type": "yarn",
            "rotary_scaling_factor": 40.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "num_experts": 256,
            "moe_router_topk": 8,
            "moe_ffn_hidden_size": 2048,
            "moe_shared_expert_intermediate_size": 2048,
            "moe_layer_freq": f"[{'0,' * 3}{'1,' * 57}1]",
            "moe_router_score_function": "sigmoid",
            "moe_router_pre_softmax": False,
            "moe_router_topk_scaling_factor": 2.5,
            "moe_router_num_groups": 8,
            "moe_router_group_topk": 4,
            "moe_router_enable_expert_bias": True,
            "moe_router_bias_update_rate": 0.001,
            "moe_router_load_balancing_type": ["none"],
        }
        == found
    )
    assert arguments(neutral.model("mixtral_8x7b"))["moe_router_load_balancing_type"] == ["aux_loss"]
    assert arguments(neutral.model("deepseek_v2"))["moe_router_pre_softmax"]


def test_what_gpt_oss_and_llama_4_alone_have_is_translated() -> None:
    gpt_oss = arguments(neutral.model("gpt_oss_20b"))
    assert gpt_oss["add_bias_linear"]
    assert gpt_oss["quick_geglu"]
    assert gpt_oss["softmax_type"] == "learnable"
    assert (gpt_oss["window_size"], gpt_oss["window_attn_skip_freq"]) == ("127,0", "2")
    assert gpt_oss["yarn_correction_range_round_to_int"] is False
    maverick = arguments(neutral.model("llama4_maverick"))
    assert maverick["moe_layer_freq"] == f"[{'0,1,' * 23}0,1]"
    assert maverick["no_rope_freq"] == f"[{'0,0,0,1,' * 11}0,0,0,1]"
    assert maverick["moe_apply_probs_on_input"]


def test_positions_are_stretched_by_megatron_where_it_can_else_by_the_rank() -> None:
    llama = rank_config(neutral.model("llama3.2_1b"), DATA, TRAINING)
    assert llama["arguments"]["use_rope_scaling"]
    assert llama["arguments"]["rope_scaling_factor"] == 32.0
    assert llama["frequencies"] is None
    scout = rank_config(neutral.model("llama4_scout"), DATA, TRAINING)
    assert "use_rope_scaling" not in scout["arguments"]
    assert scout["frequencies"] == {
        "factor": 16.0,
        "low_frequency_factor": 1.0,
        "high_frequency_factor": 1.0,
        "original_context": 8192,
    }


def test_megatron_lacks_nothing_of_the_presets_at_lengths_that_all_can_take() -> None:
    presets = [path.stem for path in sorted((neutral.CONF / "model").glob("*.yaml"))]
    assert {name: found for name in presets if (found := keys(neutral.model(name)))} == {}


def test_what_megatron_lacks_is_named_by_its_key() -> None:
    assert keys(seed=0) == ["task.seed"]
    assert keys(parallel=neutral.parallel(pipeline=5)) == ["task.parallel.pipeline"]
    assert keys(parallel=neutral.parallel(context=3)) == ["task.parallel.context"]
    assert keys(parallel=neutral.parallel(expert=2)) == ["task.parallel.expert"]
    assert keys(neutral.model("mixtral_8x7b"), parallel=neutral.parallel(expert=3)) == ["task.parallel.expert"]
    assert keys(neutral.model("llama4_scout"), sequence_length=16384) == ["model.chunk", "model.temperature_tuning"]
    assert keys(dataclasses.replace(MODEL, rope_theta=10000.5)) == ["model.rope_theta"]
    assert keys(dataclasses.replace(MODEL, attention_bias="all")) == ["model.attention_bias"]
    routers = {
        "normalize": dataclasses.replace(neutral.model("deepseek_v3")),
        "balance": neutral.model("mixtral_8x7b"),
    }
    for part, model in routers.items():
        assert model.moe
        router = dataclasses.replace(model.moe.router, normalize=False, balance="bias")
        changed = dataclasses.replace(model, moe=dataclasses.replace(model.moe, router=router))
        assert keys(changed) == [f"model.moe.router.{part}"]


def test_the_translation_needs_no_megatron() -> None:
    text = "import sys, primus.launch.backend.megatron; assert not {'torch', 'megatron'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", text], check=True)
