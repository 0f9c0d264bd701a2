"""What benchmarks of one device have in common: the ranks' interpreter, and what is published of the GPUs."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from primus.launch import container, gpus
from primus.launch.backend import interpreter
from primus.launch.backend.settings import Settings
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Gpu, Request
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node.plan import File

Framework = Literal["torch", "jax"]


def framework(request: Request) -> Framework:
    """What the backend is built on."""
    return "jax" if request.backend.get("name") == "maxtext" else "torch"


def work(worker: str, content: Mapping[str, Any], request: Request, source: Origins, place: Place) -> Work:
    """One rank of `worker` with `content` as its rank.json. Raises BadRequest for several ranks.

    They would share caches, memory and power: what each of many devices does is what `task=smoke` asks.
    """
    nodes = int(request.runtime.get("nodes", 1))
    if nodes > 1 or (request.ranks_per_node or 1) > 1:
        raise BadRequest(
            f"task={request.task['name']} measures one device: leave out ranks_per_node and runtime.nodes. "
            "task=smoke looks at every device of every node"
        )
    backend = member("backend", str(request.backend.get("name")))
    settings = typed(Settings, request.backend, "backend", source)
    python = interpreter.choose(settings, backend, place, in_image=container.python(request)).python
    rank = {**content, "framework": framework(request), "gpus": published(request.gpu), "path": settings.path}
    return Work(
        command=(python, "{primus.package}/rank", worker, "{primus.run_dir}/rank.json"),
        backend=settings.name,
        files=(File("rank.json", json.dumps(rank, indent=2) + "\n"),),
        environment=settings.environment,
        ranks_per_node=1,
    )


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
