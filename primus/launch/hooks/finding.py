"""Where hooks come from: those asked for by name, of plugins, of the project, of `hooks.dirs`; then patch files.

A file `NN_name.sh` or `NN_name.py` runs by itself for the tasks that its folder names: `hooks/` every task,
`hooks/train/` those of train, `hooks/train/pretrain/` that one. A file without a number runs where hooks.use names it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import plugins
from primus.launch.config.request import Request
from primus.launch.hooks import named, secrets
from primus.launch.hooks.file import Ways, ways
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node import rundir
from primus.node.plan import File, Hook, Patch, Plan
from primus.node.typed import closest

_NUMBERED = re.compile(r"\d+[_-][\w.-]+\.(sh|py)")
_ASKED = re.compile(r"(?!\d+[_-])[A-Za-z_][\w-]*\.(sh|py)")


@dataclass(frozen=True)
class Found:
    """What a plan holds of hooks and patches, and the files with their text."""

    hooks: tuple[Hook, ...] = ()
    patches: tuple[Patch, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class _Script:
    name: str
    path: Path
    text: str
    patch: bool = False


def of_request(request: Request, task: str, backend: str, framework: bool, place: Place) -> Found:
    """All of a job, in their order. `framework`: its ranks are those of a backend. Raises BadRequest."""
    scripts = [*_hooks(request, task, place), *_patch_files(request, place)]
    hooks: list[Hook] = []
    files: list[File] = []
    for number, script in enumerate(scripts):
        file = f"{rundir.HOOKS}/{number:02}-{script.path.name}"
        secrets.refuse_values(script.text, str(script.path), place.environ)
        files.append(File(file, script.text))
        hooks += _entries(script, file, ways(script.text, str(script.path)), request.hooks.timeout)
    patches = named.of_request(request.patches, backend, framework)
    return Found(tuple(hooks), patches.patches, (*files, *patches.files))


def before_any_task(request: Request, place: Place) -> tuple[str, ...]:
    """The names of what this request lets run before the ranks, of whichever task they are. Raises BadRequest."""
    scripts = [*_hooks(request, None, place), *_patch_files(request, place)]
    return tuple(s.name for s in scripts if "before" in ways(s.text, str(s.path)).phases)


def of_plan(plan: Plan) -> Found:
    """Those of a recorded run, by its own copies and no other files.

    Raises BadRequest where the record names a file that is none of them, or whose text is another than it says.
    """
    texts = {file.path: file.text for file in plan.files}
    copies = [("hook", h.name, rundir.HOOKS, h.file, h.sha256) for h in plan.hooks]
    copies += [("patch", p.name, rundir.PATCHES, p.file, p.sha256) for p in plan.patches if p.file is not None]
    for kind, name, folder, path, digest in copies:
        plain = re.fullmatch(rf"{folder}/[^/.\0][^/\0]*", path)
        if not plain or path not in texts or hashlib.sha256(texts[path].encode()).hexdigest() != digest:
            raise BadRequest(
                f"{plan.run_id}: {rundir.PLAN}: {kind} {name}: {path!r} is no file of the plan with its text"
            )
    files = tuple(File(path, texts[path]) for path in dict.fromkeys(path for *_, path, _ in copies))
    return Found(plan.hooks, plan.patches, (*files, *named.listed(plan.patches)))


def _entries(script: _Script, file: str, how: Ways, timeout: float) -> Iterator[Hook]:
    digest = hashlib.sha256(script.text.encode()).hexdigest()
    for phase in how.phases:
        limit = timeout if how.timeout is None else how.timeout
        name, origin = script.name, str(script.path)
        yield Hook(name, origin, file, digest, phase, how.once, limit, script.patch, how.call)


def _hooks(request: Request, task: str | None, place: Place) -> Iterator[_Script]:
    if not request.hooks.enabled:
        if request.hooks.use:
            raise BadRequest("hooks.use names hooks to run, and hooks.enabled=false lets none: give one of them")
        return
    own = dict.fromkeys((Path(place.code.directory) / "hooks", place.directory / "hooks"))
    given = [place.directory / Path(folder).expanduser() for folder in request.hooks.dirs]
    for folder in given:
        if not folder.is_dir():
            raise BadRequest(f"hooks.dirs: {folder}: there is no such directory")
    shipped = Path(__file__).resolve().parents[2] / "node/hooks/shipped"
    folders = [*plugins.directories("hooks"), *own, *given]
    for name in request.hooks.use:
        yield _asked(name, [shipped, *folders])
    for folder in dict.fromkeys(folders):
        yield from _numbered(folder, task)


def _asked(name: str, folders: Sequence[Path]) -> _Script:
    """The hook of this name; where there are several, the last folder's."""
    known: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _ASKED.fullmatch(path.name) and not path.name.startswith("__"):
                known[path.stem] = path
    if name not in known:
        there = ", ".join(sorted(known))
        raise BadRequest(f"hooks.use: there is no hook {name!r}; there are: {there}.{closest(name, known)}")
    return _read(name, known[name])


def _numbered(folder: Path, task: str | None) -> Iterator[_Script]:
    """Those of a task; None: of every one."""
    parts = task.split("/") if task else []
    general = [Path(folder, *parts[:depth]) for depth in range(len(parts) + 1)]
    for inside in general if task else [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        for path in sorted(inside.iterdir()) if inside.is_dir() else ():
            if _NUMBERED.fullmatch(path.name) and path.is_file():
                yield _read(f"hooks/{path.relative_to(folder).as_posix()}", path)


def _patch_files(request: Request, place: Place) -> Iterator[_Script]:
    for word in request.patches:
        if word.endswith((".sh", ".py")):
            path = place.directory / Path(word).expanduser()
            if not path.is_file():
                raise BadRequest(f"patches: {word}: there is no such file in {place.directory}")
            yield _read(word, path, patch=True)


def _read(name: str, path: Path, *, patch: bool = False) -> _Script:
    try:
        return _Script(name, path, path.read_text(encoding="utf-8"), patch)
    except UnicodeDecodeError:
        raise BadRequest(f"{path}: this is no text in UTF-8") from None
