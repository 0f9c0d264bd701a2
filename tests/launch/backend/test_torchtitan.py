"""The neutral terms in those of TorchTitan, without TorchTitan."""

import dataclasses
import subprocess
import sys

from primus.launch.backend.torchtitan import rank_config
from primus.node.typed import plain
from tests import neutral

MODEL = neutral.model(name="small")
TRAINING = neutral.training(
    seed=7,
    sequence_length=128,
    global_batch=16,
    schedule=plain(neutral.schedule(warmup_steps=10)),
    parallel=plain(neutral.parallel(tensor=2, replicate=3)),
)
DATA = neutral.data("text", files="books/**/*.txt")


def trainer(**changes: object) -> dict[str, dict[str, object]]:
    return rank_config(MODEL, DATA, dataclasses.replace(TRAINING, **changes))["trainer"]  # type: ignore[arg-type]  # any


def test_every_neutral_term_has_its_name_in_torchtitan() -> None:
    assert rank_config(MODEL, DATA, TRAINING) == {
        "model": {
            "name": "llama3",
            "flavor": "small",
            "dim": 256,
            "n_layers": 4,
            "n_heads": 8,
            "n_kv_heads": 4,
            "head_dim": 32,
            "hidden_dim": 688,
            "vocab_size": 258,
            "norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "rope_scaling": None,
            "max_seq_len": 128,
            "enable_weight_tying": False,
        },
        "trainer": {
            "training": {
                "steps": 150,
                "seq_len": 128,
                "local_batch_size": 4,
                "global_batch_size": 16,
                "max_norm": 1.0,
                "mixed_precision_param": "auto",
            },
            "optimizer": {
                "optimizer_name": "AdamW",
                "optimizer_kwargs": {"lr": 2e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1},
            },
            "lr_scheduler": {
                "warmup_steps": 10,
                "decay_ratio": None,
                "decay_type": "cosine",
                "min_lr_factor": 0.1,
            },
            "parallelism": {
                "data_parallel_replicate_degree": 3,
                "data_parallel_shard_degree": -1,
                "tensor_parallel_degree": 2,
            },
            "debug": {"seed": 7},
        },
    }


def test_a_stretch_of_positions_has_torchtitans_names() -> None:
    scaling = neutral.llama3_scaling(factor=32.0)
    model = dataclasses.replace(MODEL, rope_scaling=scaling)
    assert rank_config(model, DATA, TRAINING)["model"]["rope_scaling"] == {
        "scaling_factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def test_no_global_batch_is_left_to_torchtitan_which_takes_one_micro_batch_per_rank() -> None:
    assert trainer(global_batch=None)["training"]["global_batch_size"] == -1


def test_a_precision_that_was_asked_for_is_not_chosen_by_the_device() -> None:
    assert trainer(precision="fp32")["training"]["mixed_precision_param"] == "float32"
    assert trainer(precision="bf16")["training"]["mixed_precision_param"] == "bfloat16"


def test_a_constant_schedule_never_decays() -> None:
    schedule = trainer(schedule=neutral.schedule(name="constant", warmup_steps=5))["lr_scheduler"]
    assert schedule["decay_ratio"] == 0.0
    assert schedule["warmup_steps"] == 5


def test_the_translation_imports_neither_torch_nor_torchtitan() -> None:
    code = "import sys, primus.launch.backend.torchtitan; print({'torch', 'torchtitan'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
