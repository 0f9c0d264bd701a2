"""TorchTitan's Llama 3 with dimensions of one's own."""

import dataclasses
import json
import subprocess
import sys

import pytest

from primus.launch.backend.torchtitan import rank_config
from primus.launch.config.terms import MockData, Model

from ..conftest import tiny

pytestmark = pytest.mark.torch

# In a process of its own: the patches for the CPU are for good.
COUNT = """
import json, sys
from primus.rank.torchtitan import cpu
cpu.before_import()
import torch
from primus.rank.torchtitan.model import Dimensions, model_spec
for dimensions in json.load(sys.stdin):
    with torch.device("meta"):
        model = model_spec(Dimensions(**dimensions)).model.build()
    print(sum(parameter.numel() for parameter in model.parameters()))
"""


def test_the_parameters_are_those_of_the_closed_form() -> None:
    small, training = tiny()
    models: list[Model] = [
        small,
        dataclasses.replace(small, tied_embeddings=True),
        dataclasses.replace(small, kv_heads=4, vocabulary=300),
        dataclasses.replace(small, head_size=16),  # not hidden_size / attention_heads
        # Llama 3 8B, https://arxiv.org/abs/2407.21783 table 3
        dataclasses.replace(
            small,
            hidden_size=4096,
            layers=32,
            attention_heads=32,
            kv_heads=8,
            head_size=128,
            ffn_size=14336,
            vocabulary=128256,
        ),
    ]
    mock = MockData(name="mock", tokenizer="bytes")
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        input=json.dumps([rank_config(model, mock, training)["model"] for model in models]),
        env={"LOCAL_WORLD_SIZE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    counts = [int(line) for line in done.stdout.split()]
    assert counts == [model.parameters for model in models]
    assert counts[-1] == 8_030_261_248
