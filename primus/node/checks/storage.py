"""The directories of the job: there, writable, with room, and the same on all nodes."""

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
            why = f"{directory.path}: {(error.strerror or str(error)).lower()}"
            expected = "writable" if directory.written else "readable"
            mend = "mount it on this node and in its container (container.mounts), and see who owns it"
            notes.fail(f"{directory.role} directory", why, expected, mend)
    return notes


def mark(settings: Settings, directory: Directory, node: int) -> Path:
    """The file by which the other nodes see that they share a directory with this one."""
    return Path(directory.path) / f".primus-preflight-{settings.run_id}-{node}"


def unmark(settings: Settings, node: int) -> None:
    """Take the marks of this node away."""
    for directory in settings.directories:
        with suppress(OSError):
            mark(settings, directory, node).unlink()


def shared(settings: Settings, node: int, others: int) -> Notes:
    """Look for the mark of node 0, now that all have left theirs."""
    notes = Notes("storage")
    for directory in settings.directories if others else ():
        if directory.written and os.path.isdir(directory.path):
            os.listdir(directory.path)  # NFS: ask the server anew
            if not mark(settings, directory, 0).exists():
                seen = f"{directory.path} is another one than that of node 0"
                mend = "put it on a file system that all nodes mount"
                notes.fail(f"{directory.role} directory", seen, "the same on all nodes", mend)
    return notes


def _one(directory: Directory, settings: Settings, node: int, notes: Notes) -> None:
    if directory.written:
        path = mark(settings, directory, node)
        path.write_text(f"{node}\n", encoding="ascii")
        path.read_text(encoding="ascii")
    else:
        names = sorted(os.listdir(directory.path))[:_LISTED]
        told = f"{len(names)} entries, crc {zlib.crc32(os.fsencode('/'.join(names))):08x}"
        notes.same(f"{directory.role} directory", told, FAIL, "mount the same data on all nodes")
    found = os.statvfs(directory.path)
    free = found.f_bavail * found.f_frsize / GIB
    seen = f"{directory.path}: {free:.1f} GiB free"
    if directory.written and free < settings.free:
        notes.warn(f"{directory.role} directory", seen, f"{settings.free:g} GiB or more", "delete what is not needed")
    elif directory.written and found.f_files and not found.f_favail:
        notes.fail(f"{directory.role} directory", f"{directory.path}: no inode free", "some", "delete files")
    else:
        notes.info(f"{directory.role} directory", seen)
