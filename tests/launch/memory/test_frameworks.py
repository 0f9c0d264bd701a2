"""What Megatron and MaxText keep, by hand for published sizes."""

import dataclasses
from typing import Any

import pytest

from primus.launch import memory
from primus.launch.config.terms.training import Training
from primus.launch.memory import maxtext, megatron
from primus.launch.memory.activations import Tokens
from primus.launch.memory.split import Split
from tests import neutral

LLAMA = neutral.model("llama3_8b")


def training(**changes: Any) -> Training:
    degrees = neutral.parallel(**changes.pop("parallel", {}))
    terms = {"precision": "bf16", "sequence_length": 8192, "micro_batch": 1, **changes}
    return dataclasses.replace(neutral.training(**terms), parallel=degrees)


@pytest.mark.parametrize(("gpus", "per_parameter"), [(1, 18), (8, 6 + 12 / 8)])
def test_megatron_keeps_18_bytes_a_parameter_and_spreads_12_of_them(gpus: int, per_parameter: float) -> None:
    """As `compute_weight_and_optimizer_memory` of Megatron-LM counts (theoretical_memory_utils.py)."""
    found = memory.estimate(LLAMA, training(), "megatron", gpus)
    assert found.weights + found.gradients + found.optimizer == pytest.approx(per_parameter * LLAMA.parameters)


def test_megatron_keeps_16_bytes_a_parameter_in_fp32() -> None:
    found = memory.estimate(LLAMA, training(precision="fp32"), "megatron", 1)
    assert found.weights + found.gradients + found.optimizer == 16 * LLAMA.parameters


def test_megatrons_experts_are_held_once_per_group_and_their_optimizer_is_spread_over_the_groups() -> None:
    model = neutral.model("mixtral_8x7b")
    found = memory.estimate(model, training(parallel={"expert": 4}), "megatron", 8)
    experts = 32 * 8 * 3 * 4096 * 14336
    dense = model.parameters - experts
    assert found.weights == 2 * (dense + experts / 4)
    assert found.optimizer == pytest.approx(12 * (dense / 8 + experts / 8))


def test_a_layer_of_megatron_by_hand() -> None:
    """Llama 3 8B: queries 4096, keys and values 1024 each, FFN 14336; bf16."""
    elements = 4 * 4096 + (2 * 4096 + 2 * 1024) + 3 * 14336  # norms, attention with its output, FFN
    term = training()
    assert megatron.everything(Tokens(LLAMA, term, Split.of(term, 8)), 0) == 2 * elements
    split = training(parallel={"tensor": 4, "sequence": True})
    assert megatron.everything(Tokens(LLAMA, split, Split.of(split, 8)), 0) == 2 * elements / 4
    whole_norms = training(parallel={"tensor": 4})
    assert megatron.everything(Tokens(LLAMA, whole_norms, Split.of(whole_norms, 8)), 0) == (
        2 * (4 * 4096 + (elements - 4 * 4096) / 4)
    )


def test_scores_are_kept_where_attention_has_no_fused_kernel_and_selective_computes_them_again() -> None:
    model, term = neutral.model("gpt_oss_20b"), training(activation_checkpointing="selective")
    tokens = Tokens(model, term, Split.of(term, 8))
    assert megatron.everything(tokens, 0) - megatron.kept(tokens, 0) == 64 * 8192 * (4 + 2)
    assert maxtext.everything(tokens, 0) > 64 * 8192 * (4 + 2)


def test_a_pipelines_first_stage_holds_a_micro_batch_for_each_stage() -> None:
    one = memory.estimate(LLAMA, training(global_batch=64), "megatron", 1)
    four = memory.estimate(LLAMA, training(global_batch=64, parallel={"pipeline": 4}), "megatron", 4)
    assert four.activations == one.activations  # a quarter of the layers, four micro batches
    few = memory.estimate(LLAMA, training(global_batch=2, parallel={"pipeline": 4}), "megatron", 4)
    assert few.activations < four.activations


def test_maxtext_keeps_16_bytes_a_parameter_over_all_ranks() -> None:
    found = memory.estimate(LLAMA, training(parallel={"tensor": 2}), "maxtext", 16)
    assert found.weights + found.gradients + found.optimizer == LLAMA.parameters


@pytest.mark.parametrize("backend", ["megatron", "maxtext"])
def test_less_is_kept_the_more_is_computed_again(backend: str) -> None:
    modes = ("none", "selective", "full")
    kept = [memory.estimate(LLAMA, training(activation_checkpointing=m), backend, 8).activations for m in modes]
    assert kept == sorted(kept, reverse=True)
    assert kept[2] == 32 * 2 * 4096 * 8192
