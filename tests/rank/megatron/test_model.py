"""Megatron's models from the neutral terms: what is built, on the meta device and on the CPU."""

import dataclasses
import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from primus.launch.backend.megatron import rank_config
from primus.launch.config.terms.model import Model, RopeScaling
from tests import neutral

pytestmark = [pytest.mark.megatron, pytest.mark.slow]

ROOT = Path(__file__).parents[3]

# In a process of its own: the interpreter is Megatron's, and the patches for the CPU are for good.
BUILD = """
import json, sys, tempfile, torch
from primus.rank.megatron import compatibility, cpu
compatibility.check_version()
compatibility.ignore_warnings()
cpu.before_import()
from megatron.core import parallel_state
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed
from megatron.training import global_vars
from primus.rank.megatron import arguments, model
cpu.before_pretrain()
torch.distributed.init_process_group("gloo", init_method=f"file://{tempfile.mktemp()}", rank=0, world_size=1)
parallel_state.initialize_model_parallel()
for rank in json.load(sys.stdin):
    rank["args"] = {"no_initialization": True} if "meta" in rank else {}
    args = arguments.parse(rank, {})
    config = model.model_config(args, rank["frequencies"])
    model_parallel_cuda_manual_seed(1)
    builder = config.get_builder_cls()(config)
    with torch.device("meta"):
        built = builder.build_model(ProcessGroupCollection.use_mpu_process_groups(), True, True)
    for hook in config.pre_wrap_hooks:
        hook([built])
    positions = getattr(built, "rotary_pos_emb", None)
    said = {"parameters": sum(parameter.numel() for parameter in built.parameters())}
    if positions is not None:
        said["frequencies"] = positions.inv_freq.tolist()
    print("BUILT", json.dumps(said), flush=True)
    del built
    global_vars.unset_global_variables()
"""


def built(python: str, directory: Path, models: list[Model]) -> list[dict[str, Any]]:
    """The number of parameters and the RoPE frequencies (radians per position) that Megatron makes of each."""
    ranks = [{**rank_config(model, neutral.data("mock"), neutral.training()), "meta": True} for model in models]
    environment = {"LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}
    done = subprocess.run(
        [python, "-c", BUILD],
        input=json.dumps(ranks),
        env={**environment, "PRIMUS_RUN_DIR": str(directory), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return [json.loads(line.removeprefix("BUILT")) for line in done.stdout.splitlines() if line.startswith("BUILT")]


def stretched(frequency: float, scaling: RopeScaling) -> float:
    """Llama 3.1's rule for one frequency, written from the `llama3` rule of Hugging Face."""
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    assert low
    assert high
    length = 2 * math.pi / frequency
    if length < scaling.original_context / high:
        return frequency
    if length > scaling.original_context / low:
        return frequency / scaling.factor
    smooth = (scaling.original_context / length - low) / (high - low)
    return (1 - smooth) * frequency / scaling.factor + smooth * frequency


def test_positions_are_stretched_as_llama_defines_it(megatron_python: str, tmp_path: Path) -> None:
    names = ("llama3_8b", "llama3.1_8b", "llama3.2_1b", "llama4_scout")
    models = [dataclasses.replace(neutral.model(name), layers=1) for name in names]
    for model, found in zip(models, built(megatron_python, tmp_path, models), strict=True):
        assert model.head_size
        plain = [model.rope_theta ** (-2 * i / model.head_size) for i in range(model.head_size // 2)]
        scaling = model.rope_scaling
        expected = [stretched(frequency, scaling) for frequency in plain] if scaling else plain
        assert found["frequencies"] == pytest.approx(expected, rel=1e-5)


def test_the_parameters_of_every_model_are_those_of_the_closed_form(megatron_python: str, tmp_path: Path) -> None:
    small = neutral.model(hidden_size=32, layers=2, attention_heads=4, kv_heads=2, head_size=8, ffn_size=48)
    models = [
        *(neutral.model(path.stem) for path in sorted((neutral.CONF / "model").glob("*.yaml"))),
        dataclasses.replace(small, tied_embeddings=True),
        dataclasses.replace(small, kv_heads=4, vocabulary=300),
        dataclasses.replace(small, head_size=16),  # not hidden_size / attention_heads
        dataclasses.replace(small, qk_norm="l2", rope_skip=2),
    ]
    found = built(megatron_python, tmp_path, models)
    assert [one["parameters"] for one in found] == [model.parameters for model in models]
