"""The neutral training terms in those of TorchTitan, without TorchTitan."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from primus.launch.backend.torchtitan import lacks, rank_config
from primus.launch.backend.torchtitan.model import dimensions
from tests import neutral

MODEL = neutral.model(name="small")
DATA = neutral.data("text", files="books/**/*.txt")
TRAINING = dataclasses.replace(
    neutral.training(seed=7, sequence_length=128, global_batch=16, compile=True, activation_checkpointing="selective"),
    schedule=neutral.schedule(steps=300, warmup_steps=10),
    parallel=neutral.parallel(tensor=2, pipeline=3, replicate=3),
)


def trainer(**changes: Any) -> dict[str, Any]:
    found = rank_config(MODEL, DATA, dataclasses.replace(TRAINING, **changes))["trainer"]
    assert isinstance(found, dict)
    return found


def lacking(
    model: str = "tiny",
    sequence_length: int = 256,
    global_batch: int | None = 48,
    world_size: int | None = None,
    **degrees: int,
) -> list[str]:
    """What is refused, for degrees of parallelism."""
    training = dataclasses.replace(
        neutral.training(sequence_length=sequence_length, global_batch=global_batch),
        parallel=neutral.parallel(**degrees),
    )
    return [f"{problem.key}: {problem.message}" for problem in lacks(neutral.model(model), DATA, training, world_size)]


def test_every_neutral_term_has_its_name_in_torchtitan() -> None:
    assert rank_config(MODEL, DATA, TRAINING) == {
        "model": dimensions(MODEL, 128),
        "trainer": {
            "training": {
                "steps": 150,
                "seq_len": 128,
                "local_batch_size": 4,
                "global_batch_size": 16,
                "max_norm": 1.0,
                "mixed_precision_param": "auto",
            },
            "optimizer": {
                "optimizer_name": "AdamW",
                "optimizer_kwargs": {"lr": 2e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1},
            },
            "lr_scheduler": {
                "total_steps": 300,
                "warmup_steps": 10,
                "decay_ratio": None,
                "decay_type": "cosine",
                "min_lr_factor": 0.1,
            },
            "parallelism": {
                "data_parallel_replicate_degree": 3,
                "data_parallel_shard_degree": -1,
                "tensor_parallel_degree": 2,
                "enable_sequence_parallel": True,
                "pipeline_parallel_degree": 3,
                "pipeline_parallel_microbatch_size": 4,
                "context_parallel_degree": 1,
                "expert_parallel_degree": 1,
            },
            "activation_checkpoint": "selective",
            "compile": {"enable": True},
            "quantization": None,
            "debug": {"seed": 7},
        },
    }


def test_no_global_batch_is_left_to_torchtitan_which_takes_one_micro_batch_per_rank() -> None:
    assert trainer(global_batch=None)["training"]["global_batch_size"] == -1


def test_a_precision_that_was_asked_for_is_not_chosen_by_the_device() -> None:
    assert trainer(precision="fp32")["training"]["mixed_precision_param"] == "float32"
    assert trainer(precision="bf16")["training"]["mixed_precision_param"] == "bfloat16"


def test_float8_is_a_conversion_of_a_model_in_bfloat16() -> None:
    found = trainer(precision="fp8")
    assert found["quantization"] == "float8"
    assert found["training"]["mixed_precision_param"] == "bfloat16"


def test_a_constant_schedule_never_decays() -> None:
    schedule = trainer(schedule=neutral.schedule(name="constant", warmup_steps=5))["lr_scheduler"]
    assert schedule["decay_ratio"] == 0.0
    assert schedule["warmup_steps"] == 5


def test_a_schedule_without_a_length_is_as_long_as_the_training() -> None:
    assert trainer(schedule=neutral.schedule(steps=None))["lr_scheduler"]["total_steps"] == 150


def test_sequence_parallelism_is_left_out_only_when_that_was_asked_for() -> None:
    for asked, given in ((None, True), (True, True), (False, False)):
        parallel = neutral.parallel(tensor=2, sequence=asked)
        assert trainer(parallel=parallel)["parallelism"]["enable_sequence_parallel"] is given


def test_what_torchtitan_can_do_is_not_refused() -> None:
    assert lacking(tensor=2, pipeline=6, context=2) == []
    assert lacking("mixtral_8x7b", expert=8) == []
    assert lacking(pipeline=4, global_batch=16, world_size=4) == []


@pytest.mark.parametrize(
    ("degrees", "message"),
    [
        ({"pipeline": 7}, "task.parallel.pipeline: 7 stages are more than model.layers 4 + 2"),
        (
            {"pipeline": 2, "model": "llama3.2_1b"},
            "task.parallel.pipeline: TorchTitan has no pipeline for tied embeddings: model.tied_embeddings is true",
        ),
        ({"context": 2, "sequence_length": 384}, "task.sequence_length: 384 is not a multiple of 128 x context 2"),
        (
            {"pipeline": 2, "global_batch": None},
            "task.global_batch: null is one micro batch per rank, and a pipeline of 2 stages needs 2: "
            "give 2 x task.micro_batch 4 x data-parallel ranks, or more",
        ),
        (
            {"pipeline": 4, "global_batch": 8, "world_size": 4},
            "task.global_batch: 8 is 2 micro batches for each of 1 data-parallel ranks, "
            "and a pipeline of 4 stages needs 4",
        ),
        ({"expert": 2}, "task.parallel.expert: 2, but tiny has no experts (model.moe is null)"),
        ({"expert": 3, "model": "mixtral_8x7b"}, "task.parallel.expert: 3 does not divide model.moe.experts 8"),
    ],
)
def test_what_it_cannot_do_is_refused_by_key_and_with_the_numbers(degrees: dict[str, Any], message: str) -> None:
    assert lacking(**degrees) == [message]


def test_the_translation_imports_neither_torch_nor_torchtitan() -> None:
    code = "import sys, primus.launch.backend.torchtitan; print({'torch', 'torchtitan'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"
