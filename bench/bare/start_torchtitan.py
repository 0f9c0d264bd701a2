"""TorchTitan by torchrun, with a config module of its own kind."""

import json
import re
import sys
from pathlib import Path
from typing import Any

PATTERN = r"tps: ([\d,]+)"
_HERE = Path(__file__).resolve().parent
_TOKENIZER = _HERE.parents[1] / "primus/rank/tokenizers/bytes"
_FLAVORS = {"llama3.2_1b": "1B", "llama3.2_3b": "3B", "llama3_8b": "8B"}


def command(settings: Any, folder: Path) -> tuple[list[str], dict[str, str]]:
    """argv and environment of a run in `folder`."""
    content = {
        "flavor": _FLAVORS[settings.model],
        "steps": settings.steps,
        "sequence_length": settings.sequence_length,
        "micro_batch": settings.micro_batch,
        "compile": settings.compile,
        "activation_checkpointing": settings.activation_checkpointing,
        "files": list(settings.files),
        "tokenizer": str(_TOKENIZER),
        "lr": 2e-3,
        "warmup": settings.steps // 10,
    }
    argv = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(settings.gpus)]
    argv += ["--local-ranks-filter", "0", "-m", "torchtitan.train", "--module", "torchtitan_config"]
    argv += ["--config", "bare", "--dump_folder", str(folder)]
    return argv, {"BARE": json.dumps(content), "PYTHONPATH": _path(), "OMP_NUM_THREADS": "8"}


def tokens(match: re.Match[str], settings: Any) -> float:
    """Tokens per second and GPU of a line."""
    return float(match[1].replace(",", ""))


def _path() -> str:
    import os

    return os.pathsep.join(filter(None, [str(_HERE), os.environ.get("PYTHONPATH")]))
