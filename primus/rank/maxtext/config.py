"""From `rank.json` to MaxText's own options."""

import json
import math
import os
from pathlib import Path
from typing import Any

from maxtext.configs import types
from maxtext.trainers.pre_train import train
from maxtext.utils.globals import MAXTEXT_CONFIGS_DIR
from pydantic import ValidationError

from primus.node.typed import closest
from primus.rank import checkpoints, extra
from primus.rank.maxtext import data, devices
from primus.rank.maxtext.checkpoints import Start
from primus.rank.problems import UNFIT, Refused

FOLDER = "maxtext"  # of what MaxText itself writes into the run directory

_AS_PRIMUS_HAS_IT = {
    "run_name": FOLDER,
    "skip_jax_distributed_system": True,  # the ranks have met already
    "log_config": False,
    "enable_tensorboard": False,
    "jax_cache_dir": "",  # else in the home directory
    "save_checkpoint_on_start": False,
    "save_checkpoint_on_completion": False,  # it is saved with the last step: loop.py
    "sharding_tolerance": 1.0,  # no share of the weights is too much to have whole on every rank: the user chooses
}


def options(rank: dict[str, Any], start: Start) -> dict[str, Any]:
    """All that MaxText is given beside its base.yml; `backend.args` last.

    Raises Refused for an option that MaxText has not, and for a batch that does not go into the ranks.
    """
    _check_names(rank["args"], types.MaxTextConfig)
    world = int(os.environ["WORLD_SIZE"])
    _check_experts(rank["options"], world)
    found = {
        **rank["options"],
        **_AS_PRIMUS_HAS_IT,
        "base_output_directory": os.environ["PRIMUS_RUN_DIR"],
        **_batches(rank["batch"], world),
        **_device(rank),
        **data.options(rank),
        **_checkpoint(rank["checkpoint"], start),
        **_evaluation(rank["evaluation"]),
        "profiler": "xplane" if rank["profile"]["steps"] else "",
        "skip_first_n_steps_for_profiler": 0,
    }
    for name, value in extra.asked().items():
        extra.tell(name, value, found.get(name, value))
    return {**found, **rank["args"]}


def command_line(options: dict[str, Any]) -> list[str]:
    """The arguments of `python -m maxtext.trainers.pre_train.train` that mean these options."""
    base = str(Path(MAXTEXT_CONFIGS_DIR) / "base.yml")
    return ["train", base, *(f"{name}={json.dumps(value)}" for name, value in options.items())]


def initialize(options: dict[str, Any]) -> tuple[Any, Any]:
    """MaxText's config and recorder. Raises Refused for values that MaxText does not take."""
    try:
        found: tuple[Any, Any] = train.initialize(command_line(options))
    except ValidationError as error:
        said = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors())
        raise Refused(
            f"MaxText does not take these options ({extra.keys()}, by its own names): {'; '.join(said)}"
        ) from None
    return found


def place(config: Any, rank: dict[str, Any]) -> None:
    """MaxText derives the folder of the checkpoints from the run's; here it is where the user wants it."""
    config.get_keys()["checkpoint_dir"] = str(checkpoints.directory(rank))


def _check_names(given: dict[str, Any], model: Any, prefix: str = "") -> None:
    fields = model.model_fields
    for name, value in given.items():
        if name not in fields:
            raise Refused(f"{extra.key(prefix + name)}: MaxText has no such option.{closest(name, fields)}")
        inner = fields[name].annotation
        if isinstance(value, dict) and hasattr(inner, "model_fields"):
            _check_names(value, inner, f"{prefix}{name}.")


def _batches(batch: dict[str, Any], world: int) -> dict[str, Any]:
    """How many sequences each device gets, and in how many forward passes: MaxText deals a batch out to all of them."""
    readers = world // batch["per_sequence"]
    passes = (batch["global"] or batch["micro"] * readers) // (batch["micro"] * readers)
    rows, pipeline = batch["micro"] * readers, batch["pipeline"]
    if pipeline == 1:
        return {"per_device_batch_size": _dealt(rows, world), "gradient_accumulation_steps": passes}
    if passes % pipeline:
        raise Refused(
            f"task.global_batch: MaxText's pipeline needs a multiple of {pipeline} micro batches in a step, and "
            f"{rows * passes} sequences are {passes} of task.micro_batch {batch['micro']} on {readers} data-parallel "
            "ranks"
        )
    return {"per_device_batch_size": _dealt(rows * passes, world), "num_pipeline_microbatches": passes}


def _dealt(rows: int, world: int) -> int:
    if rows % world:
        raise Refused(f"task.micro_batch: MaxText cannot deal {rows} sequences out to {world} ranks evenly")
    return rows // world


def _check_experts(options: dict[str, Any], world: int) -> None:
    """Experts have an axis of their own, out of the ranks that would else shard the weights."""
    axes = math.prod(degree for name, degree in options.items() if name.startswith("ici_") and degree > 1)
    if world % axes:
        raise Refused(
            f"task.parallel.expert: MaxText takes the {options['ici_expert_parallelism']} ranks of the experts out of "
            f"those that shard the weights, and {world} ranks are not a multiple of all degrees together, {axes}"
        )


def _device(rank: dict[str, Any]) -> dict[str, Any]:
    cpu, options, precision = devices.on_cpu(), rank["options"], rank["precision"]
    if precision == "fp8" and cpu:
        raise Refused("task.precision: fp8 needs a GPU, and JAX found none", UNFIT)
    dtype = options["dtype"]
    return {
        "hardware": "cpu" if cpu else "gpu_multiprocess",
        "attention": "dot_product" if cpu else _attention(options),
        "dtype": dtype if dtype != "auto" else "float32" if cpu else "bfloat16",
        "matmul_precision": "highest" if dtype == "float32" else "default",  # JAX's default is TF32 on GPUs
        "quantization": _fp8() if precision == "fp8" else "",
        # XLA has no ragged all-to-all for CPUs: every rank computes its experts for all tokens, and drops none.
        **({"sparse_matmul": False} if cpu and options["ici_expert_parallelism"] > 1 else {}),
    }


def _attention(options: dict[str, Any]) -> str:
    """The fastest kernel that can do it: those for GPUs know neither windows nor chunks, nor sinks.

    cuDNN's trained a Llama 3.2 1B 1.2 times as fast on an H200 as MaxText's own choice, which masks every pair of
    tokens of different documents; this one is causal alone, as attention is in Megatron.
    """
    if any(options.get(name) for name in ("sliding_window_size", "chunk_attn_window_size", "attention_sink")):
        return "dot_product"
    latent = options.get("attention_type") == "mla"  # query and value heads of different sizes
    return "autoselected" if latent or "nvidia" not in devices.name().lower() else "cudnn_flash_jax"


def _fp8() -> str:
    return "nanoo_fp8" if "amd" in devices.name().lower() else "fp8"


def _checkpoint(checkpoint: dict[str, Any], start: Start) -> dict[str, Any]:
    return {
        "enable_checkpointing": start.resumed or checkpoint["interval"] is not None,
        "checkpoint_period": checkpoint["interval"] or 1,
        "max_num_checkpoints_to_keep": checkpoint["keep"] or None,
        "load_parameters_path": start.weights,
    }


def _evaluation(evaluation: dict[str, Any]) -> dict[str, Any]:
    """After every `interval` steps: MaxText counts steps from 0."""
    interval = 1 if evaluation["only"] else evaluation["interval"]
    return {
        "eval_interval": interval or -1,
        "eval_start_step": (interval or 1) - 1,
        "eval_steps": evaluation["steps"],
    }
