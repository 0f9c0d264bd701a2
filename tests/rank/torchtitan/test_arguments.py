"""`backend.args`: TorchTitan's own options, by the names of its own config classes."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.torch

# In a process of its own: the patches for the CPU are for good.
OVERLAY = """
import json, sys
from primus.rank.torchtitan import cpu
cpu.before_import()
from torchtitan.components.checkpointer import CheckpointManager
from torchtitan.distributed.activation_checkpoint import SelectiveAC
from torchtitan.trainer import Trainer
from primus.rank.problems import Refused
from primus.rank.torchtitan.arguments import overlay
for arguments in json.load(sys.stdin):
    config = Trainer.Config(checkpoint=CheckpointManager.Config(initial_load_model_only=False))
    config.compile.enable = True
    try:
        overlay(config, arguments)
    except Refused as refused:
        print(json.dumps(str(refused)))
    else:
        recomputation = config.activation_checkpoint
        print(json.dumps({
            "training.gc_freq": config.training.gc_freq,
            "checkpoint.async_mode": config.checkpoint.async_mode,
            "compile.components": config.compile.components,
            "recomputation": recomputation and recomputation.to_dict(),
        }))
"""


def overlaid(*arguments: dict[str, Any], **environ: str) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", OVERLAY],
        input=json.dumps(arguments),
        env={"LOCAL_WORLD_SIZE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_options_are_set_by_dotted_or_nested_names_and_what_cannot_be_is_refused() -> None:
    nested, dotted, other, nothing, *refused = overlaid(
        {"training": {"gc_freq": 7}, "compile": {"components": ["model"]}},
        {"training.gc_freq": 7, "checkpoint.async_mode": "async", "debug.deterministic": True},
        {"activation_checkpoint": {"memory_budget": 0.25}},
        {"activation_checkpoint": None},
        {"trainin": {"steps": 5}},
        {"training": {"steps": "five"}},
        {"checkpoint": {"async_mode": "sometimes"}},
        {"model_spec": None},
        {"checkpoint": {"keep_latest_k": 1}},
    )
    assert nested["training.gc_freq"] == 7
    assert nested["compile.components"] == ["model"]
    assert dotted["training.gc_freq"] == 7
    assert dotted["checkpoint.async_mode"] == "async"
    assert other["recomputation"]["memory_budget"] == 0.25, "the class of TorchTitan's that has this option"
    assert nothing["recomputation"] is None
    assert refused == [
        "backend.args.trainin.steps: TorchTitan has no such option. Did you mean 'training.steps'?",
        "backend.args.training.steps: expected a whole number, got 'five' (text)",
        "backend.args.checkpoint.async_mode: 'sometimes' is not among disabled, async, async_with_pinned_mem.",
        "backend.args.model_spec: TorchTitan has no such option.",
        "backend.args: TorchTitan refuses this: We need to maintain at least 2 checkpoint replicas, as the last one "
        "may be in the process of being saved.",
    ]


@pytest.mark.slow
def test_an_option_that_a_hook_asked_for_is_named_by_the_hook() -> None:
    asked = {"optimizer.lr": {"value": 1, "hook": "10_a.sh"}}
    refused = overlaid({"optimizer.lr": 1}, {"trainin.steps": 5}, PRIMUS_EXTRA=json.dumps(asked))
    assert [message.partition(":")[0] for message in refused] == [
        "extra.optimizer.lr of hook 10_a.sh",
        "backend.args.trainin.steps",
    ]
