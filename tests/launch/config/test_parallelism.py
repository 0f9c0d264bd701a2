"""Degrees of parallelism that do not fit are refused with the arithmetic, before anything starts."""

import dataclasses
from typing import Any

import pytest

from primus.launch.config import parallelism
from primus.launch.config.terms.model import Model
from tests import neutral

TINY = neutral.model()
MIXTRAL = neutral.model("mixtral_8x7b")


def told(world_size: int | None, model: Model = TINY, training: dict[str, Any] | None = None, **degrees: int) -> str:
    """What is said of these degrees; empty: nothing."""
    asked = dataclasses.replace(neutral.training(), **{"parallel": neutral.parallel(**degrees), **(training or {})})
    return "; ".join(f"{p.key}: {p.message}" for p in parallelism.problems(model, asked, world_size))


def test_the_world_is_a_multiple_of_all_degrees() -> None:
    assert told(8, tensor=4, pipeline=4) == ("task.parallel: 8 ranks in all is not a multiple of tensor 4 x pipeline 4")
    assert told(16, tensor=4, pipeline=4) == ""
    assert told(12, tensor=2, context=2, replicate=2) == (
        "task.parallel: 12 ranks in all is not a multiple of tensor 2 x context 2 x replicate 2"
    )


def test_tensor_parallelism_divides_what_it_splits() -> None:
    assert "task.parallel.tensor: 8 does not divide model.kv_heads 4" in told(8, tensor=8)
    odd = dataclasses.replace(TINY, ffn_size=690)
    assert told(4, odd, tensor=4) == "task.parallel.tensor: 4 does not divide model.ffn_size 690"


def test_an_ffn_that_no_layer_has_need_not_be_divided() -> None:
    assert told(4, dataclasses.replace(MIXTRAL, ffn_size=14337), tensor=4) == ""


def test_context_parallelism_takes_an_early_and_a_late_part_of_each_sequence() -> None:
    assert told(8, training={"sequence_length": 100}, context=8) == (
        "task.parallel.context: task.sequence_length 100 is not a multiple of 2 x context 8"
    )
    assert told(8, training={"sequence_length": 104}, context=2, tensor=4) == (
        "task.parallel.context: task.sequence_length 104 is not a multiple of 2 x context 2 x tensor 4"
    )
    assert told(8, training={"sequence_length": 112}, context=2, tensor=4) == ""


def test_experts_are_spread_over_ranks_that_share_data_and_context() -> None:
    assert told(8, expert=2) == "task.parallel.expert: 2, but the model has no experts: model.moe is null"
    assert told(8, MIXTRAL, expert=3).startswith("task.parallel.expert: 3 does not divide model.moe.experts 8; ")
    assert told(8, MIXTRAL, expert=8, tensor=2) == (
        "task.parallel.expert: 8 does not divide the ranks that share data and context: "
        "shard 4 x context 1, of 8 in all"
    )
    assert told(16, MIXTRAL, expert=8, context=2) == ""
    assert told(None, MIXTRAL, expert=8) == ""


@pytest.mark.parametrize("world_size", [None, 4])
def test_a_global_batch_is_whole_micro_batches(world_size: int | None) -> None:
    assert told(world_size, training={"global_batch": 32}) == ""
    assert told(world_size, training={"global_batch": 18}).startswith("task.global_batch: 18 is not a multiple of")
    assert told(8, training={"global_batch": 20}, tensor=2) == (
        "task.global_batch: 20 is not a multiple of task.micro_batch 4 x 4 data-parallel ranks"
    )
