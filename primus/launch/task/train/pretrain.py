"""`task=train/pretrain`: train a model from scratch with the framework of the chosen backend."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from primus.launch import checkpoints
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.config.terms.training import Training
from primus.launch.place import Place
from primus.launch.task import Work
from primus.launch.task.train import job


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """Training from scratch, or from the weights of `checkpoint.load`."""

    name: Literal["train/pretrain"]


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The backend's work for this training. Raises BadRequest for values that do not fit, and for missing files."""
    load = task.checkpoint.load
    if load:
        backend = str(request.backend.get("name"))
        load = checkpoints.folder("task.checkpoint.load", load, backend, request.output.root, place.directory)
    directory = task.checkpoint.directory
    if directory:  # where the command was typed: a frozen job runs elsewhere
        directory = str(place.directory / Path(directory).expanduser())
    training = replace(task, checkpoint=replace(task.checkpoint, load=load, directory=directory))
    return job.work(training, request, source, place, evaluate_only=False)
