"""The environments that `task=setup` makes: where one is kept, when it is complete, the commands that make it. Pure."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from primus.launch.backend.settings import Settings, Setup
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node.typed import read

VARIABLE = "PRIMUS_BACKENDS"
"""The environment variable that says where environments are kept: on a cluster, a folder that all nodes see."""


@dataclass(frozen=True)
class Made:
    """The marker of a complete environment: what was asked for, what it resolved to (`pip freeze`), how and when."""

    backend: str
    python: str  # version, e.g. 3.12.1
    base: str  # the interpreter that it was made with
    requirements: tuple[str, ...]
    no_dependencies: tuple[str, ...]
    packages: tuple[str, ...]
    seconds: float
    time: float  # since the epoch, when it was complete


@dataclass(frozen=True)
class Step:
    """One command of a setup, and what it does, for the progress line."""

    does: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """One environment, by where it lies. Beside it: the log of the last setup, and the file that setups lock."""

    backend: str
    setup: Setup
    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin/python"

    @property
    def marker(self) -> Path:
        return self.directory / "primus-setup.json"

    @property
    def log(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.log")

    @property
    def lock(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.lock")

    def made(self) -> Made | None:
        """How it was made; None unless it is complete and its interpreter is still there."""
        try:
            found = read(Made, json.loads(self.marker.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
        return found if os.access(self.python, os.X_OK) else None

    def steps(self, base: str) -> tuple[Step, ...]:
        """The commands that make it with the interpreter `base`. Isolated (-I): what PYTHONPATH has does not count."""
        pip = (str(self.python), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check")
        install = (*pip, "install", "--progress-bar=off")
        own, bare = self.setup.requirements, self.setup.no_dependencies
        steps = [Step("making the environment", (base, "-I", "-m", "venv", str(self.directory)))]
        if own:
            many = f"{len(own)} requirement{'s' * (len(own) > 1)}"
            steps.append(Step(f"installing {many}", (*install, "--", *own)))
        if bare:
            names = ", ".join(bare)
            steps.append(Step(f"installing {names} without dependencies", (*install, "--no-deps", "--", *bare)))
        return tuple(steps)

    def freeze(self) -> tuple[str, ...]:
        """The command that lists what is installed."""
        return (str(self.python), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check", "freeze", "--all")


def environment(settings: Settings, place: Place) -> Environment:
    """Where the environment for exactly these requirements lies, made or not."""
    setup = settings.setup
    asked = [setup.python, sorted(setup.requirements), sorted(setup.no_dependencies)]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:10]
    return Environment(settings.name, setup, _kept_in(setup, place) / f"{settings.name}-{digest}")


def fits(version: tuple[int, int], needed: str) -> bool:
    """Whether a Python (major, minor) is one that `backend.setup.python` takes: `3.12`, or `>=3.11,<3.13`.

    Raises BadRequest for text that is neither.
    """
    return all(_holds(version, clause.strip(), needed) for clause in needed.split(","))


def _holds(version: tuple[int, int], clause: str, needed: str) -> bool:
    parts = re.fullmatch(r"(>=|<=|==|<|>|)\s*(\d+)\.(\d+)", clause)
    if not parts:
        raise BadRequest(f"backend.setup.python: {needed!r} is no Python version: write 3.12, or '>=3.11,<3.13'")
    bound = int(parts[2]), int(parts[3])
    return {
        "": version == bound,
        "==": version == bound,
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
    }[parts[1]]


def _kept_in(setup: Setup, place: Place) -> Path:
    given = setup.directory or place.environ.get(VARIABLE)
    if given:
        return place.directory / Path(given).expanduser()
    cache = place.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(cache, "primus/backends")
