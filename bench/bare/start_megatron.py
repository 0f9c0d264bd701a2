"""Megatron by torchrun, with what its own pretrain_gpt.py does, which its wheel does not hold, on its mock data."""

import re
import sys
from pathlib import Path
from typing import Any

PATTERN = r"elapsed time per iteration \(ms\): ([\d.]+)"
_HERE = Path(__file__).resolve().parent
# Layers, hidden size, FFN, heads, key/value groups: the published configs.
_SIZES = {"llama3.2_1b": (16, 2048, 8192, 32, 8), "llama3_8b": (32, 4096, 14336, 32, 8)}
_TIED = {"llama3.2_1b"}
_RECOMPUTED = {
    "none": [],
    "selective": ["--recompute-granularity", "selective"],
    "full": ["--recompute-granularity", "full", "--recompute-method", "uniform", "--recompute-num-layers", "1"],
}


def command(settings: Any, folder: Path) -> tuple[list[str], dict[str, str]]:
    """argv and environment of a run in `folder`."""
    layers, hidden, ffn, heads, groups = _SIZES[settings.model]
    values = {
        "num-layers": layers,
        "hidden-size": hidden,
        "ffn-hidden-size": ffn,
        "num-attention-heads": heads,
        "num-query-groups": groups,
        "seq-length": settings.sequence_length,
        "max-position-embeddings": settings.sequence_length,
        "normalization": "RMSNorm",
        "norm-epsilon": 1e-5,
        "position-embedding-type": "rope",
        "rotary-base": 500000,
        "attention-dropout": 0,
        "hidden-dropout": 0,
        "tokenizer-type": "NullTokenizer",
        "vocab-size": 128256 - 1,
        "make-vocab-size-divisible-by": 128,
        "micro-batch-size": settings.micro_batch,
        "global-batch-size": settings.micro_batch * settings.gpus,
        "train-iters": settings.steps,
        "lr": 2e-3,
        "min-lr": 2e-4,
        "lr-decay-style": "cosine",
        "lr-warmup-iters": settings.steps // 10,
        "weight-decay": 0.1,
        "clip-grad": 1.0,
        "adam-beta1": 0.9,
        "adam-beta2": 0.95,
        "eval-interval": settings.steps + 1,
        "eval-iters": 0,
        "log-interval": 1,
        "num-workers": 0,
        "split": "98,2,0",
        "distributed-backend": "nccl",
        "transformer-impl": "local",
    }
    flags = ["mock-data", "swiglu", "disable-bias-linear", "group-query-attention", "bf16"]
    flags += ["no-persist-layer-norm", "no-gradient-accumulation-fusion", "no-masked-softmax-fusion"]
    flags += ["no-rope-fusion"]  # both need Transformer Engine or Apex
    flags += ["cross-entropy-loss-fusion"]  # as Primus has it
    flags += [] if settings.model in _TIED else ["untie-embeddings-and-output-weights"]
    flags += ["use-distributed-optimizer"] if settings.gpus > 1 else []
    argv = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(settings.gpus)]
    argv += [str(_HERE / "megatron_pretrain.py"), *(f"--{flag}" for flag in flags)]
    argv += [word for name, value in values.items() for word in (f"--{name}", str(value))]
    environ = {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "BARE_ATTENTION": settings.attention}
    return [*argv, *_RECOMPUTED[settings.activation_checkpointing]], environ


def tokens(match: re.Match[str], settings: Any) -> float:
    """Tokens per second and GPU of a line."""
    return settings.micro_batch * settings.sequence_length / (float(match[1]) / 1000)
