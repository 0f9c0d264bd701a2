"""What the place decides of Megatron's arguments: places with GPUs are described, not needed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from primus.launch.backend.megatron import rank_config
from tests import neutral

pytestmark = pytest.mark.megatron

ROOT = Path(__file__).parents[3]

SAY = """
import json, sys
from primus.rank.megatron.arguments import Place, placed
from primus.rank.problems import Refused
for rank, place in json.load(sys.stdin):
    try:
        print(json.dumps(placed(rank, Place(**place))))
    except Refused as refused:
        print(json.dumps({"refused": f"{refused.exit_code} {refused}"}))
"""
CPU = {"gpu": False, "engine": False, "apex": False}
BARE = CPU | {"gpu": True}
ENGINE = BARE | {"engine": True}


def placed(python: str, *cases: tuple[dict[str, Any], dict[str, bool], int]) -> list[dict[str, Any]]:
    """For a training with changes, a place and a number of ranks each."""
    given = []
    for changes, place, ranks in cases:
        model = neutral.model(changes.pop("model", "tiny"))
        training = neutral.training(**changes)
        given.append((rank_config(model, neutral.data("mock"), training), {**place, "ranks": ranks}))
    done = subprocess.run(
        [python, "-W", "ignore", "-c", SAY],
        input=json.dumps(given),
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "LOCAL_RANK": "0"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def parallel(**changes: Any) -> dict[str, Any]:
    """`task.parallel` as in YAML."""
    return {"parallel": vars(neutral.parallel(**changes))}


def test_precision_fusions_and_communication_go_by_the_device(megatron_python: str) -> None:
    cpu, bare, engine = placed(megatron_python, ({}, CPU, 2), ({}, BARE, 2), ({}, ENGINE, 2))
    assert (cpu["bf16"], bare["bf16"], engine["bf16"]) == (False, True, True)
    assert (cpu["transformer_impl"], engine["transformer_impl"]) == ("local", "transformer_engine")
    assert (cpu["distributed_backend"], bare["distributed_backend"]) == ("gloo", "nccl")
    assert (cpu["bias_swiglu_fusion"], bare["bias_swiglu_fusion"]) == (False, True)
    assert not bare["gradient_accumulation_fusion"]
    assert "bias_swiglu_fusion" not in engine, "Megatron's own default, which is on"
    assert (cpu["overlap_param_gather"], bare["overlap_param_gather"]) == (False, True)


def test_a_batch_of_an_evaluation_is_one_forward_pass_of_all_ranks(megatron_python: str) -> None:
    accumulating = {"micro_batch": 2, "global_batch": 64}
    alone, pipeline = placed(
        megatron_python,
        (accumulating | parallel(tensor=2), BARE, 8),
        (accumulating | parallel(pipeline=2), BARE, 8),
    )
    assert alone["eval_global_batch_size"] == 2 * 4
    assert "eval_global_batch_size" not in pipeline, "all of the global batch, which a pipeline takes at once"


def test_the_optimizers_state_is_spread_over_the_ranks_beyond_whole_copies(megatron_python: str) -> None:
    names = ("use_distributed_optimizer", "num_distributed_optimizer_instances", "overlap_grad_reduce")
    found = placed(
        megatron_python,
        ({}, BARE, 1),
        ({}, BARE, 8),
        (parallel(replicate=8), BARE, 8),
        (parallel(replicate=2), BARE, 8),
        (parallel(tensor=2, pipeline=4), BARE, 8),
    )
    assert [tuple(one[name] for name in names) for one in found] == [
        (False, 1, False),
        (True, 1, True),
        (False, 1, True),
        (True, 2, True),
        (False, 1, False),
    ]


def test_what_needs_transformer_engine_has_it_or_is_refused(megatron_python: str) -> None:
    changes: list[dict[str, Any]] = [
        {"precision": "fp8"},
        parallel(context=2),
        parallel(tensor=2, sequence=True),
        {**parallel(tensor=2), "model": "mixtral_8x7b"},
    ]
    fp8, _, sequence, experts, *refused = placed(
        megatron_python,
        *((dict(change), ENGINE, 2) for change in changes),
        *((dict(change), BARE, 2) for change in changes),
    )
    assert (fp8["bf16"], fp8["fp8"]) == (True, "hybrid")
    assert sequence["sequence_parallel"]
    assert experts["moe_grouped_gemm"]
    keys = ("task.precision=fp8", "task.parallel.context", "task.parallel.sequence=true", "task.parallel.tensor with")
    for key, one in zip(keys, refused, strict=True):
        assert one["refused"].startswith(f"3 {key}")
    [alone] = placed(megatron_python, (parallel(tensor=2), BARE, 2))
    assert not alone["sequence_parallel"], "the norms of PyTorch cannot"
