"""`task=benchmark/train`: training steps of any backend and model, and what they came to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.config.terms.training import Training
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.results import Column, key
from primus.launch.task import Work
from primus.launch.task.train import job
from primus.node.plan import File
from primus.node.typed import bounded

COLUMNS = {
    "train": (
        key("model"),
        key("backend"),
        key("ranks"),
        key("precision"),
        key("sequence", "tokens"),
        key("micro_batch"),
        key("global_batch"),
        key("parallel"),
        Column("tokens_per_second", "tokens/s", digits=0, better="higher"),
        Column("tokens_per_second_per_device", "tokens/s per device", digits=0, better="higher"),
        Column("mfu", "MFU", "%", 1, better="higher"),
        Column("step_time_p50", "step p50", "ms", 1, better="lower"),
        Column("step_time_p95", "step p95", "ms", 1),
        Column("step_time_min", "step min", "ms", 1),
        Column("step_time_max", "step max", "ms", 1),
        Column("memory_peak", "memory, peak", "GiB", 2, better="lower"),
        Column("loss", "last loss", digits=4),
        Column("steps", "steps", digits=0),
    )
}
TITLES = {"train": "Training, without the warm-up"}


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """The training, whose first `warmup` steps do not count."""

    name: Literal["benchmark/train"]
    warmup: int = bounded(least=0)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The backend's work for a training, and one row of it. Raises BadRequest as that of a training does."""
    if task.warmup >= task.steps:
        raise BadRequest(f"task.warmup: {task.warmup} of task.steps={task.steps} leaves no step that counts")
    training = job.work(task, request, source, place, evaluate_only=False)
    (file,) = training.files
    content = json.loads(file.text)
    content["benchmark"] = {
        "backend": training.backend,
        "warmup": task.warmup,
        "row": {
            "model": request.model.name,
            "backend": training.backend,
            "precision": task.precision,
            "sequence": task.sequence_length,
            "micro_batch": task.micro_batch,
            "global_batch": task.global_batch,
            "parallel": _degrees(training.parallel),
        },
    }
    python, program, _, path = training.command
    return replace(
        training,
        command=(python, program, "benchmark.train", path),
        files=(File(file.path, json.dumps(content, indent=2) + "\n"),),
    )


def _degrees(parallel: dict[str, int]) -> str | None:
    said: Sequence[str] = [f"{name}{degree}" for name, degree in parallel.items() if degree > 1]
    return "-".join(said) or None
