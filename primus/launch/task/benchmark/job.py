"""What benchmarks of devices have in common: the ranks' interpreter, and what is published of the GPUs."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from primus.launch import container, gpus
from primus.launch.backend import interpreter
from primus.launch.backend.settings import Settings
from primus.launch.config.origin import Origins
from primus.launch.config.reading import complaint, typed
from primus.launch.config.request import Gpu, Request
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node.plan import File
from primus.node.typed import DataError, Problem

Framework = Literal["torch", "jax"]


def framework(request: Request) -> Framework:
    """What the backend is built on."""
    return "jax" if request.backend.get("name") == "maxtext" else "torch"


def work(worker: str, content: Mapping[str, Any], request: Request, source: Origins, place: Place) -> Work:
    """Ranks of `worker` with `content` as their rank.json: on one node one, unless ranks_per_node says more.

    On several nodes one for each device: who asks for nodes wants to know of all that they have.
    """
    alone = int(request.runtime.get("nodes", 1)) == 1
    backend = member("backend", str(request.backend.get("name")))
    settings = typed(Settings, request.backend, "backend", source)
    python = interpreter.choose(settings, backend, place, in_image=container.python(request)).python
    rank = {**content, "framework": framework(request), "gpus": published(request.gpu), "path": settings.path}
    return Work(
        command=(python, "{primus.package}/rank", worker, "{primus.run_dir}/rank.json"),
        backend=settings.name,
        files=(File("rank.json", json.dumps(rank, indent=2) + "\n"),),
        environment=settings.environment,
        ranks_per_node=1 if alone else None,
    )


def check_lists(task: Any, source: Origins) -> None:
    """Raise BadRequest, naming the key and where it was set, for a list of the settings `task` that has nothing."""
    empty = [field.name for field in fields(task) if getattr(task, field.name) == ()]
    if empty:
        said = "is empty: there is nothing to measure"
        raise complaint(DataError(Problem(f"task.{name}", said) for name in empty), source)


def torch_alone(request: Request) -> None:
    """Raise BadRequest for a backend whose framework this benchmark does not know."""
    if framework(request) != "torch":
        raise BadRequest(f"task={request.task['name']} measures with PyTorch: take backend=torchtitan or megatron")


def published(gpu: Gpu) -> list[dict[str, Any]]:
    """Dense peaks (TFLOP/s) and memory bandwidth (GB/s) of the profile, of all where the GPU is not named."""
    profiles = [gpu] if gpu.devices else gpus.profiles()
    return [
        {"name": p.name, "devices": list(p.devices), "tflops": p.tflops, "memory_bandwidth": p.memory_bandwidth}
        for p in profiles
    ]
