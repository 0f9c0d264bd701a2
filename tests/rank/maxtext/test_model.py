"""MaxText's models by the neutral terms, without training one: abstract shapes take no memory."""

import dataclasses
import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from primus.launch.config.request import Gpu, Profile
from primus.launch.config.terms.model import Model, RopeScaling
from primus.launch.task.train import job
from tests import neutral

from ..conftest import Run

pytestmark = [pytest.mark.maxtext, pytest.mark.slow]

# In a process of its own: the changes to MaxText are for good. The last position is turned by each pair's frequency.
BUILD = """
import json, sys
from primus.rank.maxtext import compatibility
compatibility.before_import(own_checkout=False)
import jax
from flax import nnx
from maxtext.layers.embeddings import LLaMARotaryEmbedding
from maxtext.utils import maxtext_utils, model_creation_utils
from primus.rank.maxtext import config
from primus.rank.maxtext.checkpoints import Start

for rank in json.load(sys.stdin):
    compatibility.apply(rank)
    given, _ = config.initialize(config.options(rank, Start(0, "", resumed=False)))
    mesh = maxtext_utils.get_mesh_from_config(given)
    _, model = model_creation_utils.create_nnx_abstract_model(given, mesh)
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    scaled = given.rope_type == "llama3.1"
    rope = LLaMARotaryEmbedding(1, given.rope_max_timescale, mesh, given.head_dim, use_scale=scaled)
    print(json.dumps({"parameters": count, "frequencies": (1 / rope.timescale[0, 0, 0, ::2]).tolist()}))
"""


def built(python: str, models: list[Model], folder: Path) -> list[dict[str, Any]]:
    """The number of parameters and the RoPE frequencies (radians per position) that MaxText makes of each."""
    ranks = [
        job.rank_file(
            neutral.backend("maxtext"),
            model,
            neutral.data("mock"),
            neutral.training(sequence_length=64),
            gpu=Gpu("auto", {}),
            profile=Profile(None),
            evaluate_only=False,
        )
        for model in models
    ]
    done = subprocess.run(
        [python, "-c", BUILD],
        input=json.dumps(ranks),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(job.__file__).parents[4]),
            "HOME": str(folder),
            "PRIMUS_RUN_DIR": str(folder),
            "WORLD_SIZE": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"parameters"')]


def stretched(frequency: float, scaling: RopeScaling) -> float:
    """Llama 3.1's rule for one frequency, written from the `llama3` rule of Hugging Face and not from MaxText's."""
    turns = scaling.original_context * frequency / (2 * math.pi)  # within the original context
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    assert low
    assert high
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return kept * frequency + (1 - kept) * frequency / scaling.factor


def small(preset: str) -> Model:
    """A model of the preset's kind, small enough to train."""
    model = neutral.model(preset)
    mla = model.mla and dataclasses.replace(
        model.mla,
        query_rank=model.mla.query_rank and 16,
        kv_rank=16,
        nope_head_size=8,
        rope_head_size=8,
        value_head_size=8,
    )
    moe = model.moe
    if moe:
        router = dataclasses.replace(
            moe.router, groups=moe.router.groups and 2, active_groups=moe.router.active_groups and 1
        )
        moe = dataclasses.replace(
            moe,
            experts=4,
            active_experts=min(2, moe.active_experts),
            ffn_size=32,
            shared_ffn_size=moe.shared_ffn_size and 32,
            first_layer=min(1, moe.first_layer),
            router=router,
        )
    return dataclasses.replace(
        model,
        layers=4 if model.rope_skip or model.window else 3,
        hidden_size=32,
        attention_heads=4,
        kv_heads=4 if mla else 2,
        head_size=None if mla else 8,
        ffn_size=48,
        vocabulary=258,
        window=model.window and 16,
        chunk=model.chunk and 32,
        mla=mla,
        moe=moe,
    )


def test_the_parameters_of_every_model_are_those_of_the_closed_form(maxtext_python: str, tmp_path: Path) -> None:
    models = [
        *(neutral.model(path.stem) for path in sorted((neutral.CONF / "model").glob("*.yaml"))),
        neutral.model(tied_embeddings=True),
        neutral.model(head_size=16),  # not hidden_size / attention_heads
    ]
    found = built(maxtext_python, models, tmp_path)
    assert {m.name: b["parameters"] for m, b in zip(models, found, strict=True)} == {
        model.name: model.parameters for model in models
    }


def test_positions_are_stretched_as_llama_3_1_defines_it(maxtext_python: str, tmp_path: Path) -> None:
    models = [dataclasses.replace(neutral.model(n), layers=1) for n in ("llama3_8b", "llama3.1_8b", "llama3.2_1b")]
    for model, maxtext in zip(models, built(maxtext_python, models, tmp_path), strict=True):
        assert model.head_size
        plain = [model.rope_theta ** (-2 * i / model.head_size) for i in range(model.head_size // 2)]
        scaling = model.rope_scaling
        expected = [stretched(f, scaling) for f in plain] if scaling else plain
        assert maxtext["frequencies"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "preset", ["mixtral_8x7b", "qwen3_30b_a3b", "deepseek_v3", "gpt_oss_20b", "llama4_scout", "llama3.2_1b"]
)
def test_a_small_model_of_every_kind_learns(run: Run, preset: str) -> None:
    ended = run(model=small(preset), steps=6)
    assert ended.exit_codes == [0], ended.logs
    losses = ended.losses()
    assert losses[0] == pytest.approx(math.log(258), abs=0.6)
    assert losses[-1] < losses[0] - 0.1


def test_experts_spread_over_two_ranks_come_to_the_losses_of_ranks_that_have_all(run: Run) -> None:
    model = small("mixtral_8x7b")
    spread, whole = (run(model=model, ranks=2, parallel=neutral.parallel(expert=degree)) for degree in (2, 1))
    assert spread.exit_codes == [0, 0], spread.logs
    assert spread.losses() == pytest.approx(whole.losses(), rel=1e-3)
    tensor = run(model=model, ranks=2, parallel=neutral.parallel(expert=2, tensor=2))
    assert tensor.refused, tensor.logs
    assert "task.parallel.expert: MaxText takes the 2 ranks of the experts out of those" in tensor.logs[0]
