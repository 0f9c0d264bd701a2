"""Which interpreter serves the ranks of a backend, and why. Decided by reading files: no process, nothing imported."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from primus.launch.backend.environments import environment, fits
from primus.launch.backend.settings import Settings
from primus.launch.config.arguments import key_of
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Complaint, Unfit
from primus.node.plan import Plan
from primus.node.typed import read


@dataclass(frozen=True)
class Choice:
    """The interpreter of the ranks; `problem` is what keeps it from serving here, to be raised before a start."""

    python: str
    why: str
    problem: Complaint | None = None


def choose(
    settings: Settings,
    backend: ModuleType,
    place: Place,
    overrides: Sequence[str] = (),
    in_image: str | None = None,
) -> Choice:
    """The user's own, else that of Primus where it has what the backend needs, else the one that task=setup made.
    In a container the user's own, else `in_image`: what that has is seen there.

    Where none serves, the choice is the one that task=setup would make, and its problem says so. `overrides` are what
    the user typed: the part that is about the backend belongs to the command that mends it.
    """
    if in_image is not None:
        return Choice(settings.python or in_image, "backend.python" if settings.python else "container.python")
    if settings.python is not None:
        return _given(settings.python, place)
    needed = needs(settings, backend)
    version = sys.version_info[:2]
    found = installed(sys.path)
    missing = [name for name in needed if name not in found]
    right_version = fits(version, settings.setup.python)
    if right_version and not missing:
        has = ", ".join(f"{name} {found[name]}" for name in needed)
        return Choice(place.python, f"that of Primus itself, which has {has}")
    made = environment(settings, place)
    if made.made():
        return Choice(str(made.python), f"made by task=setup backend={settings.name}")
    lacks = (
        f"has no {', '.join(missing)}"
        if right_version
        else f"is Python {version[0]}.{version[1]}, not {settings.setup.python}"
    )
    return Choice(
        str(made.python),
        f"to be made by task=setup backend={settings.name}",
        Unfit(
            f"backend={settings.name}: no interpreter has {', '.join(missing or needed)}: that of Primus itself "
            f"{lacks}, and none has been set up. Mend it with:\n  {_setup(settings.name, overrides)}"
        ),
    )


def of_plan(plan: Plan, place: Place) -> Choice | None:
    """The choice that a plan was made by; None for a job without a backend."""
    if not plan.backend:
        return None
    settings = read(Settings, plan.config["backend"], "backend")
    return choose(
        settings,
        member("backend", plan.backend),
        place,
        plan.overrides,
        plan.container.python if plan.container else None,
    )


def needs(settings: Settings, backend: ModuleType) -> tuple[str, ...]:
    """The distributions that must be installed; a checkout (`backend.path`) stands for the framework's own."""
    if not settings.path:
        return tuple(backend.PACKAGES)
    return tuple(name for name in backend.PACKAGES if name.split("-")[0] != settings.name)


def installed(folders: Sequence[str]) -> dict[str, str]:
    """Versions by name (lower case, hyphens) of the distributions in these folders, by the names of their metadata.

    Not by importlib.metadata, whose import alone takes 27 ms of a dry run's 250.
    """
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = os.listdir(folder or ".")
        except OSError:  # a zip file, or not there
            continue
        for name in names:
            stem, _, kind = name.rpartition(".")
            if kind in ("dist-info", "egg-info") and "-" in stem:
                package, _, version = stem.partition("-")
                found.setdefault(package.replace("_", "-").lower(), version.split("-py")[0])
    return found


def _given(python: str, place: Place) -> Choice:
    program = str(Path(python).expanduser()) if python.startswith("~") else python
    there = shutil.which(place.directory / program if os.sep in program else program, path=place.environ.get("PATH"))
    problem = None if there else BadRequest(f"backend.python: there is no program {python!r} that can be run")
    return Choice(program, "backend.python", problem)


def _setup(backend: str, overrides: Sequence[str]) -> str:
    about = [word for word in overrides if key_of(word).startswith("backend.setup.")]
    return shlex.join(["primus", "task=setup", f"backend={backend}", *about])
