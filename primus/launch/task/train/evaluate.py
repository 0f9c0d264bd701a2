"""`task=train/evaluate checkpoint=<run or folder>`: the validation loss and perplexity of a checkpoint."""

from dataclasses import dataclass, replace
from typing import Literal

from primus.launch import checkpoints
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.config.terms.training import Training
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.launch.task.train import job


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """The terms of the training that wrote the checkpoint; `eval.steps` batches are measured, no step is trained."""

    name: Literal["train/evaluate"]


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The backend's work for this evaluation. Raises BadRequest where there is no such checkpoint."""
    if not request.checkpoint:
        raise BadRequest("task=train/evaluate needs a checkpoint: give it with checkpoint=<run or folder>")
    backend = str(request.backend.get("name"))
    load = checkpoints.folder("checkpoint", request.checkpoint, backend, request.output.root, place.directory)
    fixed = replace(task.checkpoint, interval=None, directory=None, load=load)
    return job.work(replace(task, checkpoint=fixed), request, source, place, evaluate_only=True)
