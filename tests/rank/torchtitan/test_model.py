"""TorchTitan's Llama 3 with dimensions of one's own."""

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import pytest

from primus.launch.backend.torchtitan import rank_config
from primus.launch.config.terms.model import Model, RopeScaling
from tests import neutral

from ..conftest import tiny

pytestmark = pytest.mark.torch

# In a process of its own: the patches for the CPU are for good. Position 1 is turned by each pair's frequency.
BUILD = """
import json, sys
from primus.rank.torchtitan import cpu
cpu.before_import()
import torch
from primus.node.typed import read
from primus.rank.torchtitan.model import Dimensions, model_spec
for dimensions in json.load(sys.stdin):
    config = model_spec(read(Dimensions, dimensions)).model
    with torch.device("meta"):
        model = config.build()
    count = sum(parameter.numel() for parameter in model.parameters())
    frequencies = config.layers[-1].attention.rope.build().cache[1].angle().tolist()
    print(json.dumps({"parameters": count, "frequencies": frequencies}))
"""


def built(models: list[Model]) -> list[dict[str, Any]]:
    """The number of parameters and the RoPE frequencies (radians per position) that TorchTitan makes of each."""
    mock, training = neutral.data("mock"), tiny()[1]
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        input=json.dumps([rank_config(model, mock, training)["model"] for model in models]),
        env={"LOCAL_WORLD_SIZE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def stretched(frequency: float, scaling: RopeScaling) -> float:
    """Llama 3.1's rule for one frequency, written from the `llama3` rule of Hugging Face and not from TorchTitan's."""
    turns = scaling.original_context * frequency / (2 * math.pi)  # within the original context
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return kept * frequency + (1 - kept) * frequency / scaling.factor


def test_the_parameters_of_every_model_are_those_of_the_closed_form() -> None:
    small = tiny()[0]
    models = [
        *(neutral.model(path.stem) for path in sorted((neutral.CONF / "model").glob("*.yaml"))),
        dataclasses.replace(small, tied_embeddings=True),
        dataclasses.replace(small, kv_heads=4, vocabulary=300),
        dataclasses.replace(small, head_size=16),  # not hidden_size / attention_heads
    ]
    assert [b["parameters"] for b in built(models)] == [model.parameters for model in models]


def test_positions_are_stretched_as_llama_3_1_defines_it() -> None:
    models = [dataclasses.replace(neutral.model(n), layers=1) for n in ("llama3_8b", "llama3.1_8b", "llama3.2_1b")]
    for model, torchtitan in zip(models, built(models), strict=True):
        plain = [model.rope_theta ** (-2 * i / model.head_size) for i in range(model.head_size // 2)]
        scaling = model.rope_scaling
        expected = [stretched(f, scaling) for f in plain] if scaling else plain
        assert torchtitan["frequencies"] == pytest.approx(expected, rel=1e-5)
        kept, slowed = expected[0] / plain[0], plain[-1] / expected[-1]
        assert (kept, slowed) == pytest.approx((1.0, scaling.factor if scaling else 1.0))
