"""Which Python an environment is made with: looked for where people have them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from primus.launch.backend.environments import fits
from primus.launch.backend.settings import Settings
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit
from primus.node import process

_NEWEST = 30
"""The newest minor version of Python 3 that is looked for."""
_SECONDS = 20.0
"""Time limit for an interpreter to say what it is, on a file system that may be slow."""
# What `python -m venv` stands on; Debian has it in a package of its own.
_QUESTION = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def candidates(needed: str, place: Place) -> Iterator[Path]:
    """Interpreters whose name says that they fit, best first; told from files alone, the launcher's own first.

    Then those on PATH (the shims of pyenv are scripts that may serve no such version: left out), of pyenv, in
    /usr/local/bin and of uv.
    """
    if fits(sys.version_info[:2], needed):
        yield Path(place.python)
    environ, seen = place.environ, set()
    home = Path("~").expanduser()
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    for minor in (m for m in range(_NEWEST, 0, -1) if fits((3, m), needed)):
        name = f"python3.{minor}"
        for path in (
            *(Path(folder, name) for folder in environ.get("PATH", "").split(os.pathsep) if folder),
            *sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"), reverse=True),
            Path("/usr/local/bin", name),
            *sorted(uv.glob(f"cpython-3.{minor}.*/bin/{name}"), reverse=True),
        ):
            real = path.resolve()
            if real not in seen and os.access(real, os.X_OK) and not _is_script(real):
                seen.add(real)
                yield path


def expected(settings: Settings, place: Place) -> str:
    """The interpreter that a setup would try first; nothing is started. Raises Unfit where there is none."""
    given = settings.setup.interpreter
    found = Path(given).expanduser() if given else next(candidates(settings.setup.python, place), None)
    if found is None:
        raise _none(settings, [])
    return str(found)


def find(settings: Settings, place: Place) -> str:
    """The interpreter to make the environment with, which has said itself that it fits. Raises Unfit or BadRequest."""
    needed, given = settings.setup.python, settings.setup.interpreter
    if given:
        path = Path(given).expanduser()
        said = _version(path)
        if said is None:
            raise BadRequest(f"backend.setup.interpreter: {given} is no Python with the modules venv and ensurepip")
        if not fits(said, needed):
            raise BadRequest(f"backend.setup.interpreter: {given} is Python {said[0]}.{said[1]}, {needed} is needed")
        return str(path)
    tried = []
    for path in candidates(needed, place):
        said = _version(path)
        if said and fits(said, needed):
            return str(path)
        tried.append(path)
    raise _none(settings, tried)


def _version(python: Path) -> tuple[int, int] | None:
    answer = process.ask([str(python), "-I", "-c", _QUESTION], _SECONDS)
    try:
        major, minor = (answer or "").split(".")
        return int(major), int(minor)
    except ValueError:
        return None


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def _none(settings: Settings, tried: list[Path]) -> Unfit:
    needed = settings.setup.python
    seen = f" ({', '.join(map(str, tried))}: is not it, or lacks the modules venv and ensurepip)" if tried else ""
    return Unfit(
        f"backend={settings.name} needs Python {needed}, and there is none on PATH, in /usr/local/bin, of pyenv or of "
        f"uv{seen}. Install one (uv python install, pyenv install, or apt install pythonX.Y pythonX.Y-venv), or name "
        "it: backend.setup.interpreter=/path/to/python"
    )
