"""The neutral terms in those of TorchTitan 0.3: what `rank.json` holds and the rank worker makes a `Trainer.Config` of.

Pure; TorchTitan need not be installed where this runs.
"""

from dataclasses import dataclass
from typing import Any

from primus.launch.config.terms import Data, HubData, Model, Optimizer, Pretrain, RopeScaling, Schedule, TextData

EXTRA = "primus[torchtitan]"  # what to install for the ranks
PACKAGES = ("torch", "torchtitan")  # whose versions say what ran


@dataclass(frozen=True)
class Settings:
    """The group `backend`. `python` is the interpreter of the ranks; None: the one that runs Primus.

    `environment` is what the ranks get, unless the user's shell or `env.set` says otherwise.
    """

    name: str
    python: str | None
    environment: dict[str, str]


def rank_config(model: Model, data: Data, training: Pretrain) -> dict[str, Any]:
    """The content of `rank.json`: `trainer` by the field names of `torchtitan.trainer.Trainer.Config`, model and data.

    `training.mixed_precision_param` is `auto` where the rank is to choose by its device.
    """
    return {
        "model": _model(model, training),
        "data": _data(data),
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


_PRECISION = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16"}


def _model(model: Model, training: Pretrain) -> dict[str, Any]:
    return {
        "name": "llama3",
        "flavor": model.name,
        "dim": model.hidden_size,
        "n_layers": model.layers,
        "n_heads": model.attention_heads,
        "n_kv_heads": model.kv_heads,
        "head_dim": model.head_size,
        "hidden_dim": model.ffn_size,
        "vocab_size": model.vocabulary,
        "norm_eps": model.norm_epsilon,
        "rope_theta": model.rope_theta,
        "rope_scaling": _rope_scaling(model.rope_scaling) if model.rope_scaling else None,
        "max_seq_len": training.sequence_length,
        "enable_weight_tying": model.tied_embeddings,
    }


def _rope_scaling(scaling: RopeScaling) -> dict[str, Any]:
    return {
        "scaling_factor": scaling.factor,
        "low_freq_factor": scaling.low_frequency_factor,
        "high_freq_factor": scaling.high_frequency_factor,
        "original_max_position_embeddings": scaling.original_context,
    }


def _data(data: Data) -> dict[str, Any]:
    if isinstance(data, TextData):
        files = [data.files] if isinstance(data.files, str) else data.files and list(data.files)
        return {"name": data.name, "files": files, "tokenizer": data.tokenizer}
    if isinstance(data, HubData):
        return {
            "name": data.name,
            "path": data.dataset,
            "subset": data.subset,
            "split": data.split,
            "text_key": data.text_key,
            "streaming": data.streaming,
            "tokenizer": data.tokenizer,
        }
    return {"name": data.name, "tokenizer": data.tokenizer}


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
