"""`container=…`: what was asked for, as data of the plan; and whether this machine can serve it."""

import functools
import os
import re
import shlex
import sys
from fnmatch import fnmatch
from pathlib import Path

from primus.launch import plugins
from primus.launch.confidential import is_confidential
from primus.launch.config import reserved
from primus.launch.config.request import Container as Asked
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit
from primus.node.container import engine, mounts, pyxis
from primus.node.container.node import survey
from primus.node.plan import Container, Mount, Plan
from primus.node.secrets import is_secret

# What Primus itself has to decide, or what would end its hold on the container or show a secret.
_NOT_OPTIONS = (
    *(
        "--name",
        "--rm",
        "--detach",
        "-d",
        "--interactive",
        "-i",
        "--tty",
        "-t",
        "-it",
        "--entrypoint",
        "--attach",
        "-a",
    ),
    *("--pull", "--cidfile", "--restart", "--env", "-e", "--env-file", "--container-image", "--container-name"),
)
_OF_DAEMONS = ("shm_size", "ulimits", "user", "pull")
_SHAPES = {
    "image": (r"[^\s-]\S*", "a name such as rocm/pytorch:latest, or the path of a file for apptainer and pyxis"),
    "python": (r"[^\s-]\S*", "the image's own Python >= 3.9, such as python3 or /opt/venv/bin/python"),
    "shm_size": (r"\d+[bkmg]?", "a size such as 16g"),
    "user": (r"[\w.][\w.-]*(:[\w.][\w.-]*)?", "a user, or user:group"),
    "ulimits": (r"[a-z]+=-?\d+(:-?\d+)?", "name=soft:hard, such as memlock=-1:-1"),
    "environment": (r"[\w*?\[\]!-]+|\w+=[^\0\n]*", "names or patterns of the node's variables, or NAME=value"),
}


def wanted(request: Request) -> bool:
    """Whether the ranks run in an image."""
    return request.container.name != "none" or request.runtime.get("name") == "container"


def python(request: Request) -> str | None:
    """The image's interpreter; None without a container."""
    return request.container.python if wanted(request) else None


def of_request(request: Request, place: Place, directory: Path, starts_in: str) -> Container | None:
    """The container of the plan, None without one. Raises BadRequest for what no engine could make of it.

    `directory` is that of the run, `starts_in` the working directory of its ranks.
    """
    asked = request.container
    if not wanted(request):
        return None
    if request.runtime["name"] == "direct":
        raise BadRequest(f"container={asked.name}: runtime=direct has no container; take runtime=container")
    if not asked.image:
        raise BadRequest("container.image is missing: name the image that the job runs in")
    for key, (pattern, right) in _SHAPES.items():
        values = getattr(asked, key)
        for value in values if isinstance(values, tuple) else [values]:
            if value is not None and not re.fullmatch(pattern, value):
                raise BadRequest(f"container.{key}: {value!r} is not {right}")
    chosen = _engine(request, place)
    unknown = [key for key in _OF_DAEMONS if getattr(asked, key)] if chosen in ("apptainer", "pyxis") else []
    if unknown:
        raise BadRequest(f"container.{unknown[0]}: {chosen} has no such thing; give what it has by container.options")
    _check_environment(asked)
    _check_options(asked.options)
    found = Container(
        engine=chosen,
        image=asked.image,
        mounts=tuple(_mount(text, place.directory) for text in asked.mounts) + _framework(request, place),
        python=asked.python,
        environment=asked.environment,
        shm_size=asked.shm_size,
        ulimits=asked.ulimits,
        user=asked.user,
        pull=asked.pull,
        options=asked.options,
    )
    _check_paths(found, directory, starts_in, place)
    return found


def check(plan: Plan, place: Place) -> None:
    """Raise BadRequest for an image or a mount that is missing, Unfit for an engine that does not answer."""
    assert plan.container
    package = str(place.primus)
    wrong = mounts.problems(mounts.of_plan(plan, package), engine.separators(plan.container.engine), {plan.directory})
    if wrong:
        raise BadRequest(f"container.mounts: {wrong[0]}")
    _ask_engine(plan.container)


def argv(plan: Plan, place: Place) -> str:
    """What a node like this one starts, for people to read."""
    assert plan.container
    package = str(place.primus)
    if plan.container.engine == "pyxis":
        agent = (plan.container.python, "-I", "-S", f"{package}/node", f"--plan={plan.directory}/plan.json")
        words = pyxis.command(plan.container, agent)
        return shlex.join(["srun", *pyxis.srun_options(plan, mounts.of_plan(plan, package), place.environ), *words])
    words = engine.agent_command(plan.container, package, (f"--plan={plan.directory}/plan.json", "--node-rank=0"))
    name = engine.container_name(plan, 0, "xxxxxxxx")
    return shlex.join(engine.argv(engine.start(plan, survey(plan.job.gpu), package, name, words)))


def look(plan: Plan) -> None:
    """What can be told here of a container on other nodes: warn of what may be on them alone.

    Raises BadRequest for an image that would lie beside the run, on a file system that is the same everywhere.
    """
    assert plan.container
    _look(plan.container, _holds(Path(plan.directory)).stat().st_dev)


@functools.cache  # of a sweep: once
def _look(container: Container, shared: int) -> None:
    for mount in container.mounts:
        if not os.path.exists(mount.source):
            _warn(f"container.mounts: {mount.source} is not on this machine: every node of the job has to have it")
    image = engine.image_file(container)
    if image and not os.path.exists(image):
        if _holds(Path(image)).stat().st_dev == shared:
            raise BadRequest(f"container.image: {image} is not there")
        _warn(f"container.image: {image} is not on this machine: every node of the job has to have it")


def _holds(path: Path) -> Path:
    """The innermost folder of this path that is there."""
    return next(folder for folder in (path, *path.parents) if os.path.exists(folder))


def _warn(text: str) -> None:
    print(f"primus: {text}", file=sys.stderr)


@functools.cache  # of a sweep: once
def _ask_engine(container: Container) -> None:
    try:
        if container.pull:
            engine.require(container.engine, os.environ)
        else:
            engine.identity(container, os.environ)
    except engine.NoImage as error:
        raise BadRequest(f"container.image: {error}") from None
    except engine.NoEngine as error:
        raise Unfit(f"container={container.engine}: {error}") from None


def _engine(request: Request, place: Place) -> str:
    chosen, runtime = request.container.name, request.runtime["name"]
    if chosen not in ("none", "auto"):
        if chosen == "pyxis" and runtime == "container":
            raise BadRequest("container=pyxis is a part of Slurm: take runtime=slurm, or docker, podman, apptainer")
        return chosen
    found = engine.found(place.environ.get("PATH"))
    if not found:
        raise BadRequest("container: none of docker, podman and apptainer is on PATH here: name one, container=docker")
    return found[0]


def _mount(text: str, directory: Path) -> Mount:
    """`/data` at its own path, `/data:/in` elsewhere, `:ro` at the end to be read alone."""
    source, *rest = text.split(":")
    read_only = bool(rest) and rest[-1] in ("ro", "rw") and rest.pop() == "ro"
    if not source or len(rest) > 1 or (rest and not rest[0].startswith("/")):
        raise BadRequest(f"container.mounts: {text!r} is none of: /path, /path:ro, /path:/inside, /path:/inside:ro")
    path = os.path.normpath(directory / Path(source).expanduser())
    return Mount(path, os.path.normpath(rest[0]) if rest else path, read_only)


def _framework(request: Request, place: Place) -> tuple[Mount, ...]:
    """A checkout of the framework (backend.path) that the ranks are to use, and the rank side of a plugin's backend."""
    path = request.backend.get("path")
    checkout = [os.path.normpath(place.directory / Path(str(path)).expanduser())] if path else []
    worker = Path(plugins.worker(str(request.backend.get("name"))))
    return tuple(Mount(at, at, True) for at in [*checkout, *([str(worker.parent)] if worker.is_absolute() else [])])


def _check_paths(container: Container, directory: Path, starts_in: str, place: Place) -> None:
    """Raise BadRequest for paths that this engine cannot be given, on whatever node."""
    separators = engine.separators(container.engine)
    ours = (
        ("output.root", str(directory), "give"),
        ("the working directory", starts_in, "start from"),
        ("the source tree", place.code.directory, "have it in"),
    )
    for what, path, instead in ours:
        if not any(mount.target == path for mount in container.mounts):
            for wrong in mounts.by_name(Mount(path, path), separators, instead):
                raise BadRequest(f"{what}: {wrong}")
    for mount in container.mounts:
        for wrong in mounts.by_name(mount, separators):
            raise BadRequest(f"container.mounts: {wrong}")


def _check_environment(asked: Asked) -> None:
    for entry in asked.environment:
        name, equals, value = entry.partition("=")
        reserved.check(name, "container.environment")
        if equals and is_confidential(name, value):
            raise BadRequest(
                f"container.environment: {name} is a secret, and its value would stand on a command line: "
                f"export it and give its name alone, or use env.set.{name}=…"
            )


def _check_options(options: tuple[str, ...]) -> None:
    for option in options:
        name, _, value = option.partition("=")
        if any(fnmatch(name, own) for own in _NOT_OPTIONS):
            raise BadRequest(
                f"container.options: {name} is Primus's own to give; variables go into container.environment"
            )
        if is_secret(name) and value:
            raise BadRequest(f"container.options: {name} would show a secret in every process list")
