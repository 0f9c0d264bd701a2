"""Storing the code at submission, and linking it into run directories."""

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from primus.launch import plugins
from primus.launch.frozen import source
from primus.launch.frozen.git import WAY_OUT
from primus.launch.frozen.store import STORE, making
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node import rundir

_BYTECODE = "__pycache__"


@dataclass(frozen=True)
class Frozen:
    """What was stored, as absolute paths: the source tree (None: not in git), the folder of the package `primus`, and
    that of the packages of plugins (None: nobody works on one).
    """

    source: Path | None
    primus: Path
    plugins: Path | None = None


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
        return Frozen(kept, _package(place.primus, store), _plugins(store))
    except OSError as error:
        raise BadRequest(f"output.root: cannot keep the code in {store}: {error.strerror or error}") from None


def link(frozen: Frozen, run: Path) -> None:
    """Make `code/source` and its like of a run directory; those of an earlier start are replaced."""
    links = ((rundir.SOURCE, frozen.source), (rundir.PRIMUS, frozen.primus), (rundir.PLUGINS, frozen.plugins))
    for name, target in links:
        if target:
            path = run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            part.symlink_to(os.path.relpath(target, path.parent.resolve()))  # the output root may be moved
            part.replace(path)


def _package(primus: Path, store: Path) -> Path:
    """`<store>/primus-<hash>/primus`, with its bytecode, which is valid as long as the times of the files are."""
    return _copies({"primus": primus}, "primus", store) / "primus"


def _plugins(store: Path) -> Path | None:
    """`<store>/plugins-<hash>/`, with the packages that somebody works on and that have a rank side."""
    live = {p.package: p.directory for p in plugins.installed() if p.live and (p.directory / "rank").is_dir()}
    for package, directory in live.items():
        size = sum(path.stat().st_size for path in _files(directory))
        if size > source.LARGEST:
            raise BadRequest(
                f"{directory}, the package {package} of a plugin, has {size / 1e9:.1f} GB and would be copied: install "
                f"it without --editable. {WAY_OUT}"
            )
    return _copies(live, "plugins", store) if live else None


def _copies(folders: Mapping[str, Path], called: str, store: Path) -> Path:
    """`<store>/<called>-<hash>/` with a copy of each folder, read-only, unless it is there."""
    digest = hashlib.sha256()
    for inside, folder in sorted(folders.items()):
        for name in sorted(map(str, _files(folder))):
            content = Path(name).read_bytes()
            digest.update(f"{inside}{name.removeprefix(str(folder))}\0{len(content)}\0".encode())
            digest.update(content)
    kept = store / f"{called}-{digest.hexdigest()[:16]}"
    if not kept.is_dir():
        with making(kept) as part:
            for inside, folder in folders.items():
                shutil.copytree(folder, part / inside, copy_function=_copy, ignore_dangling_symlinks=True)
    return kept


def _copy(original: str, copy: str) -> None:
    """For reading alone, with the time of the original, by which bytecode knows its source. In half the calls that
    shutil's own takes: there are hundreds of files, and a command waits for them."""
    with open(original, "rb", buffering=0) as there, open(copy, "xb") as here:
        known = os.fstat(there.fileno())
        here.write(there.readall())
        here.flush()
        os.fchmod(here.fileno(), stat.S_IMODE(known.st_mode) & ~0o222)
        os.utime(here.fileno(), ns=(known.st_atime_ns, known.st_mtime_ns))


def _files(folder: Path) -> Iterator[Path]:
    """All files but bytecode. A folder that is a link is not followed."""
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != _BYTECODE]
        yield from (path for name in names if (path := Path(above, name)).is_file())
