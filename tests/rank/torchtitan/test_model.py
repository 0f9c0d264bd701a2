"""TorchTitan's own models with dimensions of one's own."""

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import pytest

from primus.launch.backend.torchtitan.model import dimensions, lacks
from primus.launch.config.terms.model import Model, RopeScaling
from tests import neutral

from ..small import small

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
    rope = config.layers[-1].attention.rope.build()
    if rope.cache.is_complex():
        frequencies = rope.cache[1].angle().tolist()
    else:
        half = rope.cache.shape[1] // 4
        frequencies = torch.atan2(rope.cache[1, 2 * half : 3 * half], rope.cache[1, :half]).tolist()
    scale = getattr(model.layers["0"].attention, "softmax_scale", None)
    print(json.dumps({"parameters": count, "frequencies": frequencies, "scale": scale}))
"""
# With TorchTitan's own flex attention, which has a forward pass on a CPU; not compiled, which would need a compiler.
ATTENTION = """
import json, sys
from primus.rank.torchtitan import cpu
cpu.before_import()
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torchtitan.models.common import attention
from primus.node.typed import read
from primus.rank.torchtitan.model import Dimensions, model_spec
from primus.rank.torchtitan.plain_attention import PlainAttention
attention.FlexAttention._compiled_flex_attn = flex_attention
attention._compiled_create_block_mask = create_block_mask
config = model_spec(read(Dimensions, json.load(sys.stdin))).model
flex = config.build()
flex.init_states()
for name, parameter in flex.named_parameters():
    if name.endswith("sinks"):
        torch.nn.init.normal_(parameter)
positions = torch.arange(64).expand(2, 64)
masks = flex.get_attention_masks(positions)
for layer in config.layers:
    layer.attention.inner_attention = PlainAttention.Config(window=layer.attention.sliding_window_size)
plain = config.build()
plain.init_states()
plain.load_state_dict(flex.state_dict())
hidden = torch.randn(2, 64, config.dim)
with torch.no_grad():
    for name, layer in flex.layers.items():
        expected = layer.attention(hidden, masks[layer.attn_mask_key], positions)
        seen = plain.layers[name].attention(hidden, None, positions)
        difference, largest = (seen - expected).abs().max().item(), expected.abs().max().item()
        print(json.dumps({"mask": layer.attn_mask_key, "difference": difference, "largest": largest}))
"""


def answers(code: str, content: Any) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(content),
        env={"LOCAL_WORLD_SIZE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def built(models: list[Model]) -> list[dict[str, Any]]:
    """The number of parameters, RoPE frequencies (radians per position) and, if it has one, scale of attention."""
    return answers(BUILD, [dimensions(model, 64) for model in models])


def plain(theta: float, size: int) -> list[float]:
    """Frequencies of rotary positions of `size` elements that are not stretched."""
    return [theta ** (-2 * pair / size) for pair in range(size // 2)]


def stretched(frequency: float, scaling: RopeScaling) -> float:
    """Llama 3.1's rule for one frequency, written from the `llama3` rule of Hugging Face and not from TorchTitan's."""
    turns = scaling.original_context * frequency / (2 * math.pi)  # within the original context
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    assert low
    assert high
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return kept * frequency + (1 - kept) * frequency / scaling.factor


def yarn(theta: float, size: int, scaling: RopeScaling) -> list[float]:
    """The frequencies by equations 19 to 23 of Peng et al. 2023, with the borders that Hugging Face's `yarn` takes."""

    def border(turns: float | None) -> float:  # the pair that turns so often within the original context
        assert turns
        return size * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = border(scaling.beta_fast), border(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    slowed = [min(max((pair - first) / (last - first), 0.0), 1.0) for pair in range(size // 2)]
    return [f * (1 - s) + f / scaling.factor * s for f, s in zip(plain(theta, size), slowed, strict=True)]


def test_the_parameters_of_every_model_are_those_of_the_closed_form() -> None:
    tiny = neutral.model("tiny")
    models = [
        *(neutral.model(path.stem) for path in sorted((neutral.CONF / "model").glob("*.yaml"))),
        dataclasses.replace(tiny, tied_embeddings=True),
        dataclasses.replace(tiny, kv_heads=8, vocabulary=300),
        dataclasses.replace(tiny, head_size=16),  # not hidden_size / attention_heads
        *(small(name) for name in ("qwen2.5_7b", "qwen3_30b_a3b", "deepseek_v3", "deepseek_v2_lite", "gpt_oss_20b")),
        dataclasses.replace(small("deepseek_v3"), moe=small("llama4_maverick").moe),  # in every second layer
    ]
    models = [model for model in models if not lacks(model)]
    assert len(models) > 25
    assert [b["parameters"] for b in built(models)] == [model.parameters for model in models]


def test_positions_are_stretched_as_llama_3_1_defines_it() -> None:
    models = [dataclasses.replace(neutral.model(n), layers=1) for n in ("llama3_8b", "llama3.1_8b", "llama3.2_1b")]
    for model, torchtitan in zip(models, built(models), strict=True):
        assert model.head_size
        before, scaling = plain(model.rope_theta, model.head_size), model.rope_scaling
        expected = [stretched(f, scaling) for f in before] if scaling else before
        assert torchtitan["frequencies"] == pytest.approx(expected, rel=1e-5)
        kept, slowed = expected[0] / before[0], before[-1] / expected[-1]
        assert (kept, slowed) == pytest.approx((1.0, scaling.factor if scaling else 1.0))


def test_positions_and_attention_are_scaled_as_yarn_defines_it() -> None:
    models = [dataclasses.replace(neutral.model(n), layers=1) for n in ("deepseek_v3", "deepseek_v2", "gpt_oss_20b")]
    for model, torchtitan in zip(models, built(models), strict=True):
        scaling = model.rope_scaling
        rotary = model.mla.rope_head_size if model.mla else model.head_size
        query = model.mla.query_head_size if model.mla else model.head_size
        assert scaling
        assert scaling.mscale
        assert rotary
        assert query
        assert torchtitan["frequencies"] == pytest.approx(yarn(model.rope_theta, rotary, scaling), rel=1e-4)
        grown = 0.1 * scaling.mscale * math.log(scaling.factor) + 1
        assert torchtitan["scale"] == pytest.approx(grown**2 * query**-0.5)


def test_attention_with_a_window_and_sinks_on_a_cpu_is_torchtitans() -> None:
    layers = answers(ATTENTION, dimensions(small("gpt_oss_20b"), 64))
    assert [layer["mask"] for layer in layers] == ["sliding_window_mask", "basic_mask"] * 2
    for layer in layers:
        assert layer["difference"] < 1e-5 * layer["largest"]
