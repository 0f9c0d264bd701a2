"""Storing the code at submission, and linking it into run directories."""

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from primus.launch.frozen import source
from primus.launch.frozen.store import STORE, making
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node import rundir

_BYTECODE = "__pycache__"


@dataclass(frozen=True)
class Frozen:
    """What was stored: the source tree (None: not in git) and the folder of the package `primus`, as absolute paths."""

    source: Path | None
    primus: Path


def take(place: Place, output_root: Path) -> Frozen:
    """Store the code of this moment, unless it is there already.

    Raises BadRequest where the store cannot be written or too much would be copied, Unfit where git cannot read the
    tree.
    """
    store = output_root.resolve() / STORE
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)  # git forgets that a file was its owner's alone
        kept = None
        if place.code.commit is not None:
            kept = source.take(Path(place.code.directory), store, place.environ)
            (kept / place.directory.relative_to(place.code.directory)).mkdir(parents=True, exist_ok=True)
        return Frozen(kept, _package(place.primus, store))
    except OSError as error:
        raise BadRequest(f"output.root: cannot keep the code in {store}: {error.strerror or error}") from None


def link(frozen: Frozen, run: Path) -> None:
    """Make `code/source` and `code/primus` of a run directory; those of an earlier start are replaced."""
    for name, target in ((rundir.SOURCE, frozen.source), (rundir.PRIMUS, frozen.primus)):
        if target:
            path = run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            part.symlink_to(os.path.relpath(target, path.parent.resolve()))  # the output root may be moved
            part.replace(path)


def _package(primus: Path, store: Path) -> Path:
    """`<store>/primus-<hash>/primus`, with its bytecode, which is valid as long as the times of the files are."""
    digest = hashlib.sha256()
    for path in sorted(p for p in primus.rglob("*") if p.is_file() and _BYTECODE not in p.parts):
        digest.update(f"{path.relative_to(primus)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    kept = store / f"primus-{digest.hexdigest()[:16]}"
    if not kept.is_dir():
        with making(kept) as part:
            shutil.copytree(primus, part / "primus")
            for path in (part / "primus").rglob("*"):
                if path.is_file() and _BYTECODE not in path.parts:
                    path.chmod(path.stat().st_mode & ~0o222)
    return kept / "primus"
