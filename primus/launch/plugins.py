"""Packages that the user has installed and that extend Primus: `[project.entry-points."primus.plugins"]`.

The value of an entry point names a package. What lies in its folder is found by its place, as in Primus itself:
`conf/` (choices), `task/`, `backend/`, `runtime/` (modules), `rank/<backend>/worker.py`, `hooks/`, `patches.toml`.
Nothing of it is imported before a choice asks for it.
"""

import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from primus.launch.problems import Unfit

_GROUP = "primus.plugins"


@dataclass(frozen=True)
class Plugin:
    """An installed extension: the name of its entry point, the package, and the folder of that.

    `live`: that is where somebody works on it, an editable installation, and not a copy that was installed.
    """

    name: str
    package: str
    directory: Path
    live: bool = False


@functools.cache
def installed() -> tuple[Plugin, ...]:
    """Every plugin of this interpreter, sorted by name. Raises Unfit for one whose package is not there."""
    found = {name: (package, copied) for path in sys.path for name, package, copied in _entries(Path(path or "."))}
    plugins = []
    for name, (package, copied) in sorted(found.items()):
        directory = _directory(name, package)
        plugins.append(Plugin(name, package, directory, live=copied != directory.parent))
    return tuple(plugins)


def directories(inside: str) -> list[Path]:
    """The folders of this name that plugins have, such as `conf`."""
    return [folder for plugin in installed() if (folder := plugin.directory / inside).is_dir()]


def worker(backend: str) -> str:
    """The file of the rank side of a plugin's backend; for one of Primus's own, its name."""
    inside = Path("rank", backend.replace("-", "_"), "worker.py")
    return next((str(file) for p in installed() if (file := p.directory / inside).is_file()), backend)


def _entries(folder: Path) -> Iterator[tuple[str, str, Path | None]]:
    """Names and packages in the metadata of one folder of sys.path, and the folder that a copy of the package lies in.

    A distribution has `<name>.dist-info/entry_points.txt` or, as an old editable one beside its source,
    `<name>.egg-info/`: https://packaging.python.org/en/latest/specifications/entry-points/
    Own code: importlib.metadata takes 30 ms to import.
    """
    try:
        names = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
    except OSError:  # a zip file, or nothing
        return
    for name in sorted(names, reverse=True):
        try:
            text = (folder / name / "entry_points.txt").read_text(encoding="utf-8")
        except OSError:
            continue
        if _GROUP in text:
            import configparser  # here: a start without plugins does without

            class Names(configparser.ConfigParser):
                def optionxform(self, optionstr: str) -> str:  # names of plugins keep their case
                    return optionstr

            parser = Names(delimiters=("=",), interpolation=None)
            parser.read_string(text)
            if parser.has_section(_GROUP):
                copied = folder if name.endswith(".dist-info") else None
                yield from ((plugin, package, copied) for plugin, package in parser.items(_GROUP))


def _directory(name: str, package: str) -> Path:
    spec = None
    if package.isidentifier():  # for a dotted name Python would import what is around it
        spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise Unfit(
            f"the plugin {name} names the package {package!r}, which is not there: install it again, or remove it"
        )
    return Path(next(iter(spec.submodule_search_locations)))
