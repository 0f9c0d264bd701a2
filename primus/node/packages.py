"""Which packages the ranks' own interpreter has: asked of it while the ranks are already starting."""

import itertools
import json
import os
import re
from contextlib import suppress
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from primus.node.loop import Loop
from primus.node.sidecar import Sidecar

# Names and versions from the folder names of installed distributions (PEP 376, `torch-2.13.0.dist-info`): reading the
# metadata of 200 packages takes a second on a network file system, listing their folder a moment. Any Python 3 runs it.
QUESTION = """
import json, os, sys
found, folders = {}, []
for folder in sys.path:
    at = None
    if folder and os.access(folder, os.R_OK) and os.path.isdir(folder):
        at = os.stat(folder).st_mtime
        for name in os.listdir(folder):
            stem, _, kind = name.rpartition(".")
            if kind in ("dist-info", "egg-info") and "-" in stem:
                package, _, version = stem.partition("-")
                found.setdefault(package.replace("_", "-").lower(), version.split("-py")[0])
    folders.append([folder, at])
told = {"executable": sys.executable, "version": sys.version.split()[0], "packages": found, "folders": folders}
print(json.dumps(told))
"""

_MOST = 8 << 20  # bytes of an answer
_PROGRAM = b"\x7fELF"

_shared: List[int] = []


def share() -> List[int]:
    """From now on this process and its copies keep the last answer for one another: the files by which they do."""
    if not _shared:
        with suppress(AttributeError, OSError):  # not Linux
            _shared.append(os.memfd_create("packages"))
    return _shared


def ask_packages(
    loop: Loop,
    command: Sequence[str],
    environ: Mapping[str, str],
    directory: str,
    answer: Callable[[Dict[str, Any]], None],
) -> Optional[Sidecar]:
    """Call `answer` with {executable, version, packages: {name: version}} once the interpreter has told.

    Names are lower case with hyphens. None when the command is no Python or cannot be started: then nothing is asked.
    """
    if not os.path.basename(command[0]).startswith("python"):
        return None

    def line(text: str) -> None:
        try:
            told = json.loads(text)
        except ValueError:
            return
        if isinstance(told, dict) and "packages" in told:
            if _shared:
                _keep(told, _asked(command, environ, directory))
            answer(told)

    try:
        return Sidecar(loop, [*interpreter(command), "-c", QUESTION], line, lambda: None, environ, directory)
    except OSError:
        return None  # the ranks' own start says what is wrong


def known(command: Sequence[str], environ: Mapping[str, str], directory: str) -> Optional[Dict[str, Any]]:
    """What another copy of this process was told by the same interpreter, if no folder of packages changed since."""
    if not _shared:
        return None
    try:
        kept = json.loads(os.pread(_shared[0], _MOST, 0))
        told: Dict[str, Any] = kept["told"]
        asked = _asked(command, environ, directory)
        same = asked is not None and kept["asked"] == asked
        return told if same and all(_changed(folder) == at for folder, at in told["folders"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(told: Dict[str, Any], asked: Optional[List[Any]]) -> None:
    if asked:
        with suppress(OSError):
            os.ftruncate(_shared[0], 0)
            os.pwrite(_shared[0], json.dumps({"asked": asked, "told": told}).encode(), 0)


def _asked(command: Sequence[str], environ: Mapping[str, str], directory: str) -> Optional[List[Any]]:
    """What the answer of an interpreter depends on, beside its folders. None where that cannot be told: for a script,
    which may begin another Python for another variable (pyenv)."""
    words = interpreter(command)
    folders = [""] if "/" in words[0] else environ.get("PATH", os.defpath).split(os.pathsep)
    places = (os.path.join(directory, folder, words[0]) for folder in folders)
    program = next((p for p in places if os.access(p, os.X_OK) and os.path.isfile(p)), "")
    try:
        with open(program, "rb") as file:
            if file.read(len(_PROGRAM)) != _PROGRAM:
                return None
            found = os.fstat(file.fileno())
    except OSError:
        return None
    told = {n: v for n, v in environ.items() if n in ("PATH", "HOME") or n.startswith("PYTHON")}
    return [program, found.st_ino, found.st_mtime, words, directory, told]


def _changed(folder: str) -> Optional[float]:
    """When something was last put into a folder or taken out of it."""
    return os.stat(folder).st_mtime if folder and os.access(folder, os.R_OK) and os.path.isdir(folder) else None


def interpreter(command: Sequence[str]) -> List[str]:
    """The interpreter of a command, with those of its options by which it finds packages. Pure."""
    options = itertools.takewhile(lambda word: re.fullmatch("-[BEIPSbdqsuv]+", word), command[1:])
    return [command[0], *(word for word in options if set(word) & set("EIPSs"))]
