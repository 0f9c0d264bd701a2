"""What does not go together is refused before anything starts, by key and with the arithmetic."""

import dataclasses
from typing import Any

import pytest

from primus.launch.config.consistency import check
from primus.node.typed import DataError
from tests import neutral

MODEL = neutral.model()
TRAINING = neutral.training()
DATA = neutral.data("mock")


def refusal(world_size: int | None = None, model: dict[str, Any] | None = None, **training: Any) -> str:
    with pytest.raises(DataError) as refused:
        check(dataclasses.replace(MODEL, **model or {}), DATA, dataclasses.replace(TRAINING, **training), world_size)
    return str(refused.value)


@pytest.mark.parametrize("world_size", [None, 1, 2, 8])
def test_the_defaults_go_together_on_any_number_of_ranks(world_size: int | None) -> None:
    check(MODEL, DATA, TRAINING, world_size)


def test_a_model_that_does_not_go_together_is_refused_with_the_rest() -> None:
    assert "model.kv_heads: 8 attention heads cannot share 3" in refusal(model={"kv_heads": 3})


def test_tensor_parallelism_must_divide_both_kinds_of_heads() -> None:
    message = refusal(parallel=neutral.parallel(tensor=8), world_size=8)
    assert "task.parallel.tensor: 8 does not divide model.kv_heads 4" in message
    assert "attention_heads" not in message


def test_tensor_parallelism_must_divide_the_sequence() -> None:
    message = refusal(parallel=neutral.parallel(tensor=4), sequence_length=30)
    assert "4 does not divide task.sequence_length 30" in message


def test_expert_parallelism_must_divide_the_experts_that_there_are() -> None:
    four = neutral.parallel(expert=4)
    assert "task.parallel.expert: 4, but the model has no experts: model.moe is null" in refusal(parallel=four)
    mixtral = neutral.model("mixtral_8x7b")
    check(mixtral, DATA, dataclasses.replace(TRAINING, parallel=four), 8)
    three = dataclasses.replace(TRAINING, parallel=neutral.parallel(expert=3))
    with pytest.raises(DataError, match=r"task\.parallel\.expert: 3 does not divide model\.moe\.experts 8"):
        check(mixtral, DATA, three, 6)


def test_a_sequence_cannot_be_longer_than_the_models_context() -> None:
    assert "task.sequence_length: 4097 is more than the 4096 positions of model.context" in refusal(
        sequence_length=4097
    )
    check(MODEL, DATA, dataclasses.replace(TRAINING, sequence_length=4096), 1)


def test_a_vocabulary_must_hold_all_tokens_of_the_tokenizer() -> None:
    assert "model.vocabulary: 256 is too small for the tokenizer 'bytes', which has 258" in refusal(
        model={"vocabulary": 256}
    )


def test_another_tokenizer_is_left_to_the_rank_which_can_read_it() -> None:
    check(dataclasses.replace(MODEL, vocabulary=100), neutral.data("mock", tokenizer="/a/tokenizer.json"), TRAINING, 1)


def test_a_warm_up_cannot_outlast_the_training() -> None:
    schedule = neutral.schedule(warmup_steps=20)
    assert "task.schedule.warmup_steps: 20 is more than task.steps 10" in refusal(steps=10, schedule=schedule)
    schedule = neutral.schedule(steps=10, warmup_steps=20)
    assert "task.schedule.warmup_steps: 20 is more than task.schedule.steps 10" in refusal(steps=99, schedule=schedule)


def test_betas_are_two_and_below_one() -> None:
    optimizer = neutral.optimizer(betas=(0.9, 1.0))
    assert "task.optimizer.betas: [0.9, 1.0]" in refusal(optimizer=optimizer)


def test_a_global_batch_is_whole_micro_batches_on_every_data_parallel_rank() -> None:
    message = refusal(global_batch=20, parallel=neutral.parallel(tensor=2), world_size=4)
    assert "task.global_batch: 20 is not a multiple of task.micro_batch 4 x 2 data-parallel ranks" in message
    check(MODEL, DATA, dataclasses.replace(TRAINING, global_batch=24, parallel=neutral.parallel(tensor=2)), 4)


def test_a_global_batch_is_checked_against_the_micro_batch_while_the_ranks_are_not_known() -> None:
    assert "20 is not a multiple of task.micro_batch 8" in refusal(global_batch=20, micro_batch=8)


def test_every_fault_is_told_at_once() -> None:
    message = refusal(steps=5, schedule=neutral.schedule(warmup_steps=9), model={"head_size": 3})
    assert "warmup_steps" in message
    assert "head_size" in message
