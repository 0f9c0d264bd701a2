"""What the nodes are told to check, as a file of the plan."""

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch import container
from primus.launch.backend import interpreter
from primus.launch.backend.settings import Settings
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.members import member
from primus.launch.place import Place
from primus.node.checks import finding
from primus.node.checks.finding import Directory
from primus.node.plan import File
from primus.node.typed import plain

NAME = "preflight"
AREAS = ("host", "gpu", "network", "storage", "software")
_FRAMEWORKS = ("torch", "jax")


@dataclass(frozen=True)
class Asked:
    """What is checked, `gpus` on each node; `free` is in GiB, `within` in seconds."""

    checks: tuple[str, ...]
    gpus: int | None
    checkpoint: str | None
    free: float
    megabytes: int
    within: float
    quick: bool = False
    interpreter: bool = True


def before_job(backend: str, request: Request, source: Origins, place: Place) -> tuple[File, ...]:
    """The file for `preflight=true`: no bandwidth between nodes, of the `backend` only the framework is imported.

    A program of the user's own has no backend: whatever interpreter it needs, nobody knows.
    """
    checkpoint = (request.task.get("checkpoint") or {}) if isinstance(request.task.get("checkpoint"), dict) else {}
    areas = AREAS if backend else tuple(area for area in AREAS if area != "software")
    asked = Asked(areas, None, checkpoint.get("directory"), 10.0, 0, 30.0, quick=True, interpreter=bool(backend))
    return (file(asked, request, source, place),)


def file(asked: Asked, request: Request, source: Origins, place: Place) -> File:
    """preflight.json."""
    backend = backend_settings(request, source)
    module = member("backend", backend.name)
    chosen = interpreter.choose(backend, module, place, in_image=container.python(request))
    modules = tuple(name.replace("-", ".") for name in interpreter.needs(backend, module))
    if asked.quick:
        modules = tuple(name for name in modules if name in _FRAMEWORKS)
    settings = finding.Settings(
        run_id="",
        within=asked.within,
        checks=asked.checks,
        gpu=request.gpu.name,
        gpus=gpus_per_node(request) if asked.gpus is None else asked.gpus,
        gpu_models=request.gpu.devices,
        directories=directories(asked.checkpoint, request, place),
        free=asked.free,
        megabytes=asked.megabytes,
        python=chosen.python if asked.interpreter else None,
        modules=modules,
        product="gpu" in asked.checks,
        engine=_engine(request),
    )
    return File(f"{NAME}.json", json.dumps(plain(settings), indent=2) + "\n")


def backend_settings(request: Request, source: Origins) -> Settings:
    """The chosen backend."""
    return typed(Settings, request.backend, "backend", source)


def directories(checkpoint: str | None, request: Request, place: Place) -> tuple[Directory, ...]:
    """Those of the run (its path is empty: the nodes know it), of checkpoints, and of data that lies in files."""
    found = [Directory("run", "", True)]
    if checkpoint:
        found.append(Directory("checkpoint", str(place.directory / Path(checkpoint).expanduser()), True))
    given = request.data.get("files") or request.data.get("paths") or ()
    for path in dict.fromkeys(_folder(place, word) for word in ([given] if isinstance(given, str) else given)):
        found.append(Directory("data", path, False))
    return tuple(found)


def _folder(place: Place, pattern: str) -> str:
    """The directory above the first `*` of a pattern, whether it is there or not; or that of a file or prefix."""
    path = given = place.directory / Path(pattern).expanduser()
    while glob.has_magic(str(path)):
        path = path.parent
    return str(path if path != given or path.is_dir() else path.parent)


def gpus_per_node(request: Request) -> int | None:
    """`8` and `h100:8` of runtime.gpus_per_node."""
    count = str(request.runtime.get("gpus_per_node") or "").rpartition(":")[2]
    return int(count) if count.isdigit() else None


def _engine(request: Request) -> str | None:
    name: Any = request.container.name
    return str(name) if container.wanted(request) and name != "none" else None
