"""The directories of the job: there or to be made, writable, with room, and the same on all nodes."""

import os
import zlib
from contextlib import suppress
from pathlib import Path

from primus.node.checks.finding import FAIL, Directory, Notes, Settings

GIB = 1 << 30
_LISTED = 1000  # entries by which two directories that cannot be written are compared


def check(settings: Settings, node: int) -> Notes:
    """Each directory by itself; leaves a mark of this node where it may write."""
    notes = Notes("storage")
    for directory in settings.directories:
        try:
            _one(directory, settings, node, notes)
        except OSError as error:
            why = f"{_named(directory)}: {(error.strerror or str(error)).lower()}"
            expected = "writable" if directory.written else "readable"
            mend = "mount it on this node and in its container (container.mounts), and see who owns it"
            notes.fail(f"{directory.role} directory", why, expected, mend)
    return notes


def mark(settings: Settings, directory: Directory, node: int) -> Path:
    """The file by which the other nodes see that they share a directory with this one."""
    return _place(directory) / f".primus-preflight-{settings.run_id}-{node}"


def unmark(settings: Settings, node: int) -> None:
    """Take the marks of this node away."""
    for directory in settings.directories:
        with suppress(OSError):
            mark(settings, directory, node).unlink()


def shared(settings: Settings, node: int, others: int) -> Notes:
    """Look for the mark of node 0, now that all have left theirs."""
    notes = Notes("storage")
    for directory in settings.directories if others else ():
        if directory.written and os.path.isdir(_place(directory)):
            os.listdir(_place(directory))  # NFS: ask the server anew
            if not mark(settings, directory, 0).exists():
                seen = f"{directory.path} is another one than that of node 0"
                mend = "put it on a file system that all nodes mount"
                notes.fail(f"{directory.role} directory", seen, "the same on all nodes", mend)
    return notes


def _place(directory: Directory) -> Path:
    """The directory; where one that will be written is missing, the nearest above it, in which the job makes it."""
    path = Path(directory.path)
    every = (path, *path.parents) if directory.written else ()
    return next((there for there in every if os.path.lexists(there)), path)


def _named(directory: Directory) -> str:
    place = _place(directory)
    return directory.path + (f", to be made in {place}" if place != Path(directory.path) else "")


def _one(directory: Directory, settings: Settings, node: int, notes: Notes) -> None:
    name, said, place = f"{directory.role} directory", _named(directory), _place(directory)
    if settings.engine and place != Path(directory.path) and os.stat(place).st_dev == os.stat("/").st_dev:
        mend = f"make it on the node and mount it: container.mounts=[{directory.path}]"
        notes.fail(name, f"{said}: that is the image's, and goes with the container", "mounted", mend)
        return
    if directory.written:
        path = mark(settings, directory, node)
        path.write_text(f"{node}\n", encoding="ascii")
        path.read_text(encoding="ascii")
    else:
        names = sorted(os.listdir(place))[:_LISTED]
        told = f"{len(names)} entries, crc {zlib.crc32(os.fsencode('/'.join(names))):08x}"
        notes.same(name, told, FAIL, "mount the same data on all nodes")
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize / GIB
    seen = f"{said}: {free:.1f} GiB free"
    if directory.written and free < settings.free:
        notes.warn(name, seen, f"{settings.free:g} GiB or more", "delete what is not needed")
    elif directory.written and found.f_files and not found.f_favail:
        notes.fail(name, f"{said}: no inode free", "some", "delete files")
    else:
        notes.info(name, seen)
