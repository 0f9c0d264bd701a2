"""MaxText by its own entry and base.yml, on its synthetic data: one process for all GPUs of the node."""

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

PATTERN = r"Tokens/s/device: ([\d.]+)"
_SIZES = {  # embedding, layers, FFN, heads, key/value heads, head size: the published configs
    "llama3.2_1b": (2048, 16, 8192, 32, 8, 64),
    "llama3_8b": (4096, 32, 14336, 32, 8, 128),
}
_POLICIES = {"none": "minimal", "selective": "minimal_with_context", "full": "full"}


def command(settings: Any, folder: Path) -> tuple[list[str], dict[str, str]]:
    """argv and environment of a run in `folder`."""
    spec = importlib.util.find_spec("maxtext")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    config = Path(spec.submodule_search_locations[0]) / "configs/base.yml"
    embedding, layers, ffn, heads, groups, head = _SIZES[settings.model]
    values = {
        "run_name": "bare",
        "base_output_directory": folder,
        "hardware": "gpu",
        "dataset_type": "synthetic",
        "steps": settings.steps,
        "enable_checkpointing": False,
        "per_device_batch_size": settings.micro_batch,
        "max_target_length": settings.sequence_length,
        "base_emb_dim": embedding,
        "head_dim": head,
        "base_num_decoder_layers": layers,
        "base_mlp_dim": ffn,
        "base_num_query_heads": heads,
        "base_num_kv_heads": groups,
        "vocab_size": 128256,
        "decoder_block": "llama2",
        "rope_type": "llama3.1" if settings.model.startswith("llama3.2") else "default",  # as published
        "rope_max_timescale": 500000,
        "normalization_layer_epsilon": 1e-5,
        "logits_via_embedding": settings.model == "llama3.2_1b",
        "dtype": "bfloat16",
        "weight_dtype": "float32",
        "learning_rate": 2e-3,
        "learning_rate_schedule_steps": settings.steps,  # else it warms up for 15,000 steps, and learns nothing
        "attention": "cudnn_flash_jax",
        "enable_tensorboard": False,
        "remat_policy": _POLICIES[settings.activation_checkpointing],
        "skip_jax_distributed_system": True,
        "mlp_activations": '["silu","linear"]',
        "packing": False,
        "ici_fsdp_parallelism": settings.gpus,
    }
    argv = [sys.executable, "-m", "maxtext.trainers.pre_train.train", str(config)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7").split(",")[: settings.gpus]
    environ = {"DECOUPLE_GCLOUD": "TRUE", "CUDA_VISIBLE_DEVICES": ",".join(visible)}
    environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "0.92"
    return [*argv, *(f"{name}={value}" for name, value in values.items())], environ


def tokens(match: re.Match[str], settings: Any) -> float:
    """Tokens per second and GPU of a line."""
    return float(match[1])
