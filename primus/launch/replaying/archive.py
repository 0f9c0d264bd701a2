"""A run as one file (.tar.gz or .tar.zst), and back. Reading one extracts nothing: it may come from a stranger."""

import contextlib
import io
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from primus.launch.problems import BadRequest
from primus.launch.replaying import sound
from primus.node import rundir

ENDINGS = (".tar.gz", ".tgz", ".tar.zst")
# What describes a run; everything else that it wrote (checkpoints, traces) goes in only when asked.
_DESCRIBING = (
    *(rundir.PLAN, rundir.CONFIG, rundir.OVERRIDES, rundir.RESULT, rundir.RECORD, rundir.REPORT),
    "rank.json",
)
_DESCRIBING_FOLDERS = ("code", "nodes", "logs", "metrics")
_MOST = 1_000_000
"""Members of an archive: a run has some dozens of files, its frozen source some thousands."""
_TIMES = 200
"""By how much a packed run can be compressed: logs and metrics by some 20. Archives of zeros by 1,000 and more."""


def pack(directory: Path, to: Path, everything: bool) -> int:
    """Write the run in `directory` to the file `to`, whole or not at all; returns its bytes. Raises BadRequest."""
    if not to.name.endswith(ENDINGS):
        raise BadRequest(f"to={to}: the file must end in one of {', '.join(ENDINGS)}")
    part = to.with_name(f".{to.name}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with _writing(part, to.name) as tar:
            for path in sorted(p for p in directory.rglob("*") if p.is_file() and not p.name.startswith(".")):
                name = path.relative_to(directory)
                if everything or str(name) in _DESCRIBING or name.parts[0] in _DESCRIBING_FOLDERS:
                    tar.add(path, f"{directory.name}/{name}", recursive=False, filter=_packable)
            for link in (rundir.SOURCE, rundir.PRIMUS, rundir.PLUGINS):
                if (directory / link).is_dir():
                    tar.add((directory / link).resolve(), f"{directory.name}/{link}", filter=_frozen)
        part.replace(to)
    except OSError as error:
        raise BadRequest(f"to={to}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return to.stat().st_size


def _frozen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """What was frozen itself: links to what git ignored lead out of it, and are of this machine alone."""
    return None if "__pycache__" in member.name.split("/") else _packable(member)


def _packable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """None for what another machine could not unpack, or would be harmed by."""
    return None if _odd(member) else member


def _odd(member: tarfile.TarInfo) -> str:
    """What is wrong with a member that somebody may want to unpack; empty: nothing. Its name, or where it leads."""
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        return "is neither a file nor a folder nor a link"
    if not _inside(member.name, member.name):
        return "would lie outside of the folder that it is unpacked in"
    if member.islnk() and not _inside(member.linkname, member.name):
        return f"is a link to {member.linkname}, outside of the run"
    if member.issym() and not _inside(posixpath.join(posixpath.dirname(member.name), member.linkname), member.name):
        return f"is a link to {member.linkname}, outside of the run"
    return ""


def _inside(path: str, name: str) -> bool:
    """Whether a path of an archive stays in the run's folder, which the first part of each `name` is."""
    parts = posixpath.normpath(path).split("/")
    return not path.startswith("/") and parts[0] not in ("..", "") and parts[0] == name.split("/")[0]


def texts(file: Path) -> dict[str, str]:
    """The plan, config, node facts and result of a packed run, by their path in its run directory.

    Raises ValueError, OSError or tarfile.TarError for a file that is none, and for one whose members would harm whoever
    unpacks it.
    """
    found: dict[str, str] = {}
    left, most = sound.LARGEST, sound.LARGEST + _TIMES * file.stat().st_size
    with _translated(), _reading(file) as tar:
        for count, member in enumerate(tar):
            if odd := _odd(member):
                raise ValueError(f"{member.name!r:.200} {odd}")
            if count > _MOST:
                raise ValueError(f"it holds more than {_MOST} files")
            if member.offset_data + member.size > most:  # told before it is unpacked
                raise ValueError(f"{member.name!r:.200} would make it more than {_TIMES} times as large as the file")
            name = "/".join(member.name.split("/")[1:])
            wanted = name in (rundir.PLAN, rundir.CONFIG, rundir.RESULT) or name.startswith("nodes/")
            if not (wanted and member.isfile()):
                continue
            left -= member.size
            if left < 0 or name in found:
                raise ValueError(f"{member.name!r:.200} " + ("is there twice" if name in found else "is too large"))
            content = tar.extractfile(member)
            assert content is not None
            found[name] = content.read().decode("utf-8")
    return found


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Damage inside the compressed data as a ValueError: zlib.error and ZstdError have no base in common."""
    import zlib

    import zstandard

    try:
        yield
    except (zlib.error, zstandard.ZstdError) as error:
        raise ValueError(f"damaged: {error}") from None


@contextlib.contextmanager
def _writing(path: Path, name: str) -> Iterator[tarfile.TarFile]:
    if name.endswith(".zst"):
        import zstandard

        with (
            path.open("wb") as raw,
            zstandard.ZstdCompressor().stream_writer(raw) as packed,
            tarfile.open(fileobj=_Forward(packed), mode="w|") as tar,
        ):
            yield tar
    else:
        with tarfile.open(path, "w:gz") as tar:
            yield tar


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as raw:
        if raw.read(4) == b"\x28\xb5\x2f\xfd":  # the magic number of a Zstandard frame (RFC 8878)
            import zstandard

            raw.seek(0)
            stream: IO[bytes] = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                yield tar
        else:
            raw.seek(0)
            with tarfile.open(fileobj=raw, mode="r:*") as tar:
                yield tar


class _Forward(io.RawIOBase):
    """Write-only, for tarfile: closing it leaves the compressor open for its own end."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target

    def write(self, data: Any) -> int:
        return self._target.write(bytes(data))
