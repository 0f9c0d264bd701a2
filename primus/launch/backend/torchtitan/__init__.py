"""The neutral terms in those of TorchTitan 0.3: what `rank.json` holds and the rank worker makes a `Trainer.Config` of.

Pure; TorchTitan need not be installed where this runs.
"""

from typing import Any

from primus.launch.backend.settings import Settings as Settings
from primus.launch.backend.torchtitan import model as model_terms
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Optimizer, Schedule, Training
from primus.node.typed import Problem

EXTRA = "primus[torchtitan]"  # what to install for the ranks
PACKAGES = ("torch", "torchtitan")  # whose versions say what ran


def lacks(model: Model, data: Data, training: Training) -> list[Problem]:
    """What TorchTitan cannot express: the key and the part that it lacks."""
    return model_terms.lacks(model, training)


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The content of `rank.json`: `trainer` by the field names of `torchtitan.trainer.Trainer.Config`, and model.

    `training.mixed_precision_param` is `auto` where the rank is to choose by its device.
    """
    return {
        "model": model_terms.dimensions(model, training.sequence_length),
        "trainer": {
            "training": {
                "steps": training.steps,
                "seq_len": training.sequence_length,
                "local_batch_size": training.micro_batch,
                "global_batch_size": training.global_batch or -1,
                "max_norm": training.clip_grad_norm,
                "mixed_precision_param": _PRECISION[training.precision],
            },
            "optimizer": _optimizer(training.optimizer),
            "lr_scheduler": _schedule(training.schedule, training.warmup_steps),
            "parallelism": {
                "data_parallel_replicate_degree": training.parallel.replicate,
                "data_parallel_shard_degree": -1,
                "tensor_parallel_degree": training.parallel.tensor,
            },
            "debug": {"seed": training.seed},
        },
    }


_PRECISION = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp8": "bfloat16"}


def _optimizer(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "optimizer_name": "AdamW",
        "optimizer_kwargs": {
            "lr": optimizer.lr,
            "betas": list(optimizer.betas),
            "eps": optimizer.epsilon,
            "weight_decay": optimizer.weight_decay,
        },
    }


def _schedule(schedule: Schedule, warmup_steps: int) -> dict[str, Any]:
    constant = schedule.name == "constant"
    return {
        "warmup_steps": warmup_steps,
        "decay_ratio": 0.0 if constant else None,  # None: decay from the end of the warm-up to the last step
        "decay_type": "linear" if constant else schedule.name,
        "min_lr_factor": schedule.min_lr_ratio,
    }
