"""Named patches: changes to a framework that its ranks make, each with its versions, its reason and its end.

They are declared in `patches.toml`: Primus's own in `primus/rank/`, a plugin's in its package. What Primus's ranks
apply by themselves is listed in the plan; what a user asks for is copied into the run and applied from there.
"""

import fnmatch
import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import plugins
from primus.launch.problems import BadRequest
from primus.node import rundir
from primus.node.plan import File, Patch
from primus.node.typed import DataError, closest, plain, read


@dataclass(frozen=True)
class Declared:
    """One entry of patches.toml. `file` is relative to it; `applied`: asked, or when Primus's own ranks apply it."""

    file: str
    backend: str
    package: str
    versions: tuple[str, ...]
    reason: str
    until: str
    applied: str = "asked"


@dataclass(frozen=True)
class Named:
    """The patches of a plan, and their files."""

    patches: tuple[Patch, ...]
    files: tuple[File, ...]


def declared() -> dict[str, tuple[Path, Declared]]:
    """Every named patch, with the folder that its file is relative to. Raises BadRequest for a wrong entry."""
    own = Path(__file__).resolve().parents[2] / "rank"
    found = {}
    for folder in (own, *(plugin.directory for plugin in plugins.installed())):
        path = folder / "patches.toml"
        if path.is_file():
            for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
                try:
                    found[name] = (folder, read(Declared, entry, name))
                except DataError as error:
                    raise BadRequest(f"{path}: {error}") from None
    return found


def of_request(words: Sequence[str], backend: str, framework: bool) -> Named:
    """Those of the backend's own, and those that are asked for by name. Raises BadRequest."""
    names = [word for word in words if not word.endswith((".sh", ".py"))]
    if not names and not framework:
        return Named((), ())
    every = declared()
    automatic = [n for n, (_, d) in every.items() if framework and d.backend == backend and d.applied != "asked"]
    patches, files = [], []
    for name in names:
        _check(name, every, backend, framework)
    for name in [*automatic, *dict.fromkeys(names)]:
        folder, entry = every[name]
        text = (folder / entry.file).read_text(encoding="utf-8")
        copy = None if name in automatic else f"{rundir.PATCHES}/{name.replace('/', '-')}.py"
        digest = hashlib.sha256(text.encode()).hexdigest()
        patches.append(
            Patch(name, entry.package, entry.versions, entry.reason, entry.until, digest, entry.applied, copy)
        )
        files += [File(copy, text)] if copy else []
    return Named(tuple(patches), (*files, *listed(patches)))


def listed(patches: Sequence[Patch]) -> tuple[File, ...]:
    """The file that tells ranks which patches to apply; none where there are none to be applied from the run."""
    asked = [plain(patch) for patch in patches if patch.file]
    return (File(rundir.PATCH_LIST, json.dumps(asked, indent=2) + "\n"),) if asked else ()


def _check(name: str, every: dict[str, tuple[Path, Declared]], backend: str, framework: bool) -> None:
    if name not in every:
        there = ", ".join(sorted(every)) or "none"
        raise BadRequest(
            f"patches: {name!r} is neither a file (.sh, .py) nor a named patch; "
            f"there are: {there}.{closest(name, every)}"
        )
    entry = every[name][1]
    if not framework or not fnmatch.fnmatchcase(backend, entry.backend):
        ours = f"backend={backend}" if framework else "this task, which runs no framework"
        raise BadRequest(f"patches: {name} is for backend={entry.backend}, not for {ours}")
    if entry.applied != "asked":
        raise BadRequest(f"patches: {name} is applied by Primus itself, {entry.applied}: leave it out")
