"""Megatron's arguments: those of `rank.json`, what this device and this number of ranks ask for, the user's own."""

import contextlib
import importlib.util
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from megatron.training.arguments import parse_and_validate_args

from primus.rank import extra
from primus.rank.megatron.options import Options
from primus.rank.problems import UNFIT, Refused

ENGINE = "transformer_engine"
_SPLIT = ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size")
"""Their product is the number of ranks that hold one copy of the model."""


@dataclass(frozen=True)
class Place:
    """Where the ranks run: whether on GPUs, and which of NVIDIA's packages with kernels are there."""

    gpu: bool
    engine: bool
    apex: bool
    ranks: int


def here() -> Place:
    """This process."""
    gpu = torch.cuda.is_available()
    return Place(
        gpu=gpu,
        engine=gpu and importlib.util.find_spec(ENGINE) is not None,
        apex=gpu and importlib.util.find_spec("fused_weight_gradient_mlp_cuda") is not None,
        ranks=int(os.environ["WORLD_SIZE"]),
    )


def directory() -> Path:
    """Where Megatron keeps what it makes of its own for this run."""
    return Path(os.environ["PRIMUS_RUN_DIR"]) / "megatron"


def parse(rank: dict[str, Any], state: dict[str, Any]) -> Namespace:
    """Megatron's arguments, checked by Megatron and made known to it; `state` are those about checkpoints.

    Raises Refused for options that Megatron does not have, and for values that it or this place cannot take.
    """
    options = Options()
    given = options.named(rank["args"])
    values = {**rank["arguments"], **state, "data_cache_path": str(directory() / "index")}
    values |= placed({**rank, "arguments": values | given}, here())
    for own, asked in extra.asked().items():
        for name, value in options.named({own: asked}).items():
            extra.tell(own, value, values.get(name, value))
    sys.argv = ["megatron", *options.command_line(values | given)]
    with _listing(), _reasons():
        args: Namespace = parse_and_validate_args()
    return args


def placed(rank: dict[str, Any], place: Place) -> dict[str, Any]:
    """The arguments that this place decides. `rank["arguments"]` has the others; raises Refused without a way."""
    arguments = rank["arguments"]
    implementation = arguments.get("transformer_impl") or (ENGINE if place.engine else "local")
    native = implementation == "local"
    precision = rank["precision"] if rank["precision"] != "auto" else "bf16" if place.gpu else "fp32"
    _check(rank, precision, native)
    tensor = arguments["tensor_model_parallel_size"]
    sequence = not native if rank["sequence_parallel"] is None else rank["sequence_parallel"]
    return {
        "transformer_impl": implementation,
        "sequence_parallel": sequence and tensor > 1,
        "bf16": precision in ("bf16", "fp8"),
        # Scaled by each tensor's own largest value: the recipe that needs neither history nor a newer GPU than Hopper.
        **({"fp8": "hybrid", "fp8_recipe": "tensorwise"} if precision == "fp8" else {}),
        **(_native(place) if native else {}),
        **({"moe_grouped_gemm": True, "moe_permute_fusion": True} if "num_experts" in arguments and not native else {}),
        **_data_parallel(rank, place),
        "cross_entropy_loss_fusion": place.gpu,
        "distributed_backend": "nccl" if place.gpu else "gloo",
        "use_cpu_initialization": not place.gpu,
        "num_workers": 2 if place.gpu else 0,
        "local_rank": int(os.environ["LOCAL_RANK"]),
    }


def _native(place: Place) -> dict[str, Any]:
    """Without Transformer Engine: fusions that PyTorch compiles stay, those that are kernels of Apex or TE go."""
    return {
        "bias_swiglu_fusion": place.gpu,
        "bias_gelu_fusion": place.gpu,
        "bias_dropout_fusion": place.gpu,
        "apply_rope_fusion": False,
        "masked_softmax_fusion": False,
        "no_persist_layer_norm": True,
        "gradient_accumulation_fusion": place.apex,
    }


def _data_parallel(rank: dict[str, Any], place: Place) -> dict[str, Any]:
    """Ranks beyond whole copies shard the optimizer's state. On GPUs its communication hides behind computation.

    A batch of an evaluation is one forward pass, whatever a step of the training adds up: as in the other frameworks.
    """
    arguments = rank["arguments"]
    data_parallel = place.ranks // math.prod(arguments[name] for name in _SPLIT)
    shards = data_parallel // rank["replicate"]
    whole = arguments["pipeline_model_parallel_size"] > 1  # all micro batches of a step go through a pipeline at once
    return {
        **({} if whole else {"eval_global_batch_size": arguments["micro_batch_size"] * data_parallel}),
        "use_distributed_optimizer": shards > 1,
        "num_distributed_optimizer_instances": rank["replicate"] if shards > 1 else 1,
        "overlap_grad_reduce": place.gpu and data_parallel > 1,
        "overlap_param_gather": place.gpu and shards > 1,
    }


def _check(rank: dict[str, Any], precision: str, native: bool) -> None:
    """Refuse what only Transformer Engine can do, where it is not."""
    if not native:
        return
    arguments = rank["arguments"]
    tensor = arguments["tensor_model_parallel_size"]
    wanted = {
        "task.precision=fp8": precision == "fp8",
        "task.parallel.context": arguments["context_parallel_size"] > 1,
        "task.parallel.sequence=true": bool(rank["sequence_parallel"]) and tensor > 1,
        "task.parallel.tensor with a model of experts": "num_experts" in arguments and tensor > 1,
    }
    missing = [name for name, is_wanted in wanted.items() if is_wanted]
    if missing:
        raise Refused(
            f"{', '.join(missing)}: Megatron needs Transformer Engine for it, which needs a GPU, and {sys.executable} "
            f"cannot import it here. Mend it with: {sys.executable} -m pip install 'transformer_engine[pytorch]'",
            UNFIT,
        )


@contextlib.contextmanager
def _listing() -> Iterator[None]:
    """Megatron prints its 800 arguments and its notes on them: into a file, not the log."""
    if os.environ["RANK"] != "0":
        yield
        return
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / "arguments.txt").open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        yield


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """What Megatron asserts of its arguments is about the request: one line, not a traceback."""
    try:
        yield
    except (AssertionError, ValueError) as error:
        raise Refused(f"Megatron refuses these arguments: {error}") from error
