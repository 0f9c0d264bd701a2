"""Names and values of `backend.args`, against Megatron's own parser."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.megatron

ROOT = Path(__file__).parents[3]

SAY = """
import json, sys
from primus.rank.megatron.options import Options
from primus.rank.problems import Refused
options = Options()
for given in json.load(sys.stdin):
    try:
        print(json.dumps(options.command_line(options.named(given))))
    except Refused as refused:
        print(json.dumps(f"{refused.exit_code} {refused}"))
"""


def said(python: str, *given: dict[str, Any]) -> list[Any]:
    """The command line for each, or why there is none."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", SAY],
        input=json.dumps(given),
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_option_goes_by_any_of_its_names(megatron_python: str) -> None:
    assert said(
        megatron_python,
        {"num_layers": 4, "norm-epsilon": 1e-6},
        {"moe_grouped_gemm": True},
        {"moe_grouped_gemm": False},
        {"bias_swiglu_fusion": False},
        {"no-bias-swiglu-fusion": True},
        {"no_bias_swiglu_fusion": False},
        {"fp8_format": "hybrid", "recompute_modules": ["mlp", "core_attn"]},
        {"attention_backend": "unfused"},
        {"lr": None},
        {"deterministic_mode": True},  # by hooks.use=[deterministic]
    ) == [
        ["--num-layers=4", "--norm-epsilon=1e-06"],
        ["--moe-grouped-gemm"],
        [],
        ["--no-bias-swiglu-fusion"],
        ["--no-bias-swiglu-fusion"],
        [],
        ["--fp8-format=hybrid", "--recompute-modules", "mlp", "core_attn"],
        ["--attention-backend=unfused"],
        [],
        ["--deterministic-mode"],
    ]


def test_what_megatron_does_not_know_is_refused_with_the_closest_name(megatron_python: str) -> None:
    assert said(
        megatron_python,
        {"num_layer": 4},
        {"training": {"steps": 4}},
        {"num_layers": "many"},
        {"attention_backend": "unfuzed"},
        {"swiglu": 3},
    ) == [
        "2 backend.args.num_layer: Megatron has no such option. Did you mean 'num_layers'?",
        "2 backend.args.training.steps: Megatron has no such option. Did you mean 'train_iters'?",
        "2 backend.args: Megatron: argument --num-layers: invalid int value: 'many'",
        "2 backend.args: Megatron knows no choice 'unfuzed'",
        "2 backend.args.swiglu: Megatron has no option that sets it to 3",
    ]
