"""The engines of this node: which there are, what they know of an image, and the argv that each wants."""

import os
import shutil
import time
from types import ModuleType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node import process
from primus.node.container import ENGINES, apptainer, docker, mounts, podman, pyxis
from primus.node.container.node import Node
from primus.node.container.start import Start
from primus.node.plan import Container, Plan

_MODULES: Dict[str, ModuleType] = {"docker": docker, "podman": podman, "apptainer": apptainer, "pyxis": pyxis}
_SECONDS = 30.0
"""Time limit for a question to an engine whose daemon may be busy."""


class NoEngine(Exception):
    """The engine is not on this node, or does not answer."""


class NoImage(Exception):
    """The engine has no such image."""


def found(path: Optional[str]) -> List[str]:
    """The engines on this PATH, the preferred first. No process is started: whether one works is seen at the start."""
    return [engine for engine in ENGINES if shutil.which(engine, path=path)]


def separators(engine: str) -> str:
    """What a path must not hold, by the engine's syntax."""
    return str(_MODULES[engine].SEPARATORS)


def start(plan: Plan, node: Node, package: str, name: str, command: Sequence[str], interactive: bool = False) -> Start:
    """The container of this plan on this node. `package` is Primus's directory, `command` what runs inside.

    For a person at a terminal `interactive`.
    """
    assert plan.container
    return Start(
        plan.container, node, name, run_name(plan), mounts.of_plan(plan, package), plan.job.directory,
        tuple(command), interactive,
    )  # fmt: skip


def argv(begun: Start) -> Tuple[str, ...]:
    """The command that runs it. Pure."""
    words: Tuple[str, ...] = _MODULES[begun.container.engine].argv(begun)
    return words


def agent_command(container: Container, package: str, arguments: Sequence[str]) -> Tuple[str, ...]:
    """The agent inside: the image's own Python runs Primus where it is mounted."""
    return (container.python, "-I", "-S", f"{package}/node", *arguments, "--inside", "--lifeline", "0")


def run_name(plan: Plan) -> str:
    """What people know the run by: within a sweep its number alone would not do."""
    return f"{plan.sweep}/{plan.run_id}" if plan.sweep else plan.run_id


def container_name(plan: Plan, node_rank: int, mark: str) -> str:
    """A name that no other start has, whatever the plan: `mark` is random."""
    return f"primus-{run_name(plan).replace('/', '.')}-{node_rank}-{mark}"


def identity(container: Container, environ: Mapping[str, str]) -> Dict[str, Any]:
    """Engine, image and digest, fetching the image first where `pull` says so. Raises NoEngine and NoImage."""
    engine, image = container.engine, container.image
    require(engine, environ)
    if container.pull == "always":
        _pull(container, environ)
    try:
        told = image_of(container, environ)
    except NoImage:
        if container.pull is None:
            raise
        _pull(container, environ)
        told = image_of(container, environ)
    return {"engine": engine, "image": image, **told}


def image_file(container: Container) -> Optional[str]:
    """The path of an image that is a file or a folder; None for one that is a name. Pure."""
    if container.engine == "apptainer":
        return container.image if "://" not in container.image else None
    return container.image if container.engine == "pyxis" and container.image[0] in "./" else None


def image_of(container: Container, environ: Mapping[str, str]) -> Dict[str, Any]:
    """`digest`, and `repository_digests` where it came from a registry. Raises NoEngine and NoImage."""
    engine, image = container.engine, container.image
    if engine == "pyxis":
        return {"digest": None}  # see pyxis.identity
    if engine == "apptainer":
        file = image_file(container)
        if file and not os.path.exists(file):
            raise NoImage(f"{image} is not there")
        return {"digest": apptainer.digest(image)}
    code, out, err = process.converse(_MODULES[engine].inspect(image), _SECONDS, env=environ)
    if code == 0:
        digest, *repositories = out.split()
        return {"digest": digest, "repository_digests": repositories}
    said = " ".join(err.split())
    if "no such image" in said.lower() or "image not known" in said.lower():
        raise NoImage(f"{engine} has no image {image}: {engine} pull {image}, or container.pull=missing")
    if "invalid reference format" in said.lower() or "must be lowercase" in said.lower():
        raise NoImage(f"{image!r} is no name of an image: {said}")
    raise NoEngine(f"{engine} does not answer: {said or 'no word within 30 s'}")


def endings(container: Container, name: str, grace_period: float, environ: Mapping[str, str]) -> None:
    """See that the container is gone: ended in good order where it can be, then by force."""
    module = _MODULES[container.engine]
    for words in module.endings(name, grace_period):
        process.converse(words, grace_period + _SECONDS, env=environ)
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and name in process.converse(module.listing(name), _SECONDS, env=environ)[1]:
        time.sleep(0.1)  # what removes itself as it is told to is not gone when the engine says so


def require(engine: str, environ: Mapping[str, str]) -> None:
    """Raise NoEngine unless its client is on PATH."""
    if not shutil.which(engine, path=environ.get("PATH")):
        others = [name for name in found(environ.get("PATH")) if name != engine]
        instead = f"; here is {', '.join(others)} (container={others[0]})" if others else ""
        raise NoEngine(f"there is no program {engine!r} on PATH{instead}")


def _pull(container: Container, environ: Mapping[str, str]) -> None:
    words = _MODULES[container.engine].pull(container.image)
    if words is None:
        return
    code, _, err = process.converse(words, _PULL, env=environ)
    if code:
        raise NoImage(f"{container.engine} cannot pull {container.image}: {' '.join(err.split())}")


_PULL = 3600.0
"""Time limit for an image of many gigabytes."""
