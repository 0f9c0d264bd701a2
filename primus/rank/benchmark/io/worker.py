"""The rank of `task=benchmark/io`. Standard library alone."""

import contextlib
import mmap
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.node.typed import read
from primus.rank.benchmark.devices import Devices
from primus.rank.benchmark.timing import percentile
from primus.rank.problems import UNFIT, Refused

_SPARE = 0.9
"""Share of the free space that may be used."""


@dataclass(frozen=True)
class Job:
    """rank.json: sizes in bytes. Of the directories those of `data` may be such as cannot be written."""

    directories: tuple[str, ...]
    data: tuple[str, ...]
    size: int
    block: int
    threads: tuple[int, ...]
    repeats: int


def run(rank: dict[str, Any]) -> None:
    """Write and read files in every directory. Raises Refused for one that cannot be written, or is too full."""
    work = read(Job, rank)
    with Devices() as devices:
        data = devices.agree([path for path in work.data if _writable(path)], str)
        cases = [(Path(directory), threads) for directory in (*work.directories, *data) for threads in work.threads]
        for done, (directory, threads) in enumerate(cases, 1):
            try:
                _check_room(directory, threads * work.size * devices.count)
                _measure(work, directory, threads, devices)
            except OSError as error:
                raise Refused(f"{directory}: {error.strerror or error}", UNFIT) from None
            devices.progress(done, len(cases))


def _writable(directory: str) -> bool:
    """Whether a directory of data can be measured; where it is only read, that is said. One that is missing can be."""
    try:
        with tempfile.TemporaryFile(prefix=".primus-io-", dir=directory):
            return True
    except OSError as error:
        if not os.path.isdir(directory):
            return True  # the measurement refuses it
        why = f"it cannot be written ({error.strerror or error}), and only what was written is read"
        print(f"WARNING {directory} is left out: {why}", flush=True)
        return False


def _check_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > _SPARE * free:
        raise Refused(
            f"{directory}: {needed >> 20} MiB are to be written and {free >> 20} MiB are free: "
            "give a smaller task.size or fewer task.threads",
            UNFIT,
        )


def _measure(work: Job, directory: Path, threads: int, devices: Devices) -> None:
    """Rows of writing (to the disk: fsync counts) and reading. Files are left nowhere."""
    with tempfile.TemporaryDirectory(prefix=".primus-io-", dir=directory) as folder:
        paths = [Path(folder) / str(number) for number in range(threads)]
        direct = _direct(Path(folder))
        for operation, one in (("write", write), ("read", take)):
            seconds = []
            for _ in range(work.repeats):
                began = time.perf_counter()
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(lambda path, one=one: one(path, work.size, work.block, direct), paths))
                seconds.append(time.perf_counter() - began)
            moved = threads * work.size / 1e9
            row = {
                "directory": str(directory),
                "operation": operation,
                "threads": threads,
                "size": work.size / 2**20,
                "block": work.block / 2**10,
                "bandwidth": moved / percentile(seconds, 0.5),
                "worst": moved / max(seconds),
                "best": moved / min(seconds),
                "cached": not direct,
            }
            devices.row("io", "bandwidth", row)


def write(path: Path, size: int, block: int, direct: bool) -> None:
    """Write a file of random bytes, to the disk. Raises OSError."""
    data = mmap.mmap(-1, block)  # at the start of a page, as O_DIRECT wants it
    data[:] = os.urandom(min(block, 1 << 20)).ljust(block, b"\1")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | (os.O_DIRECT if direct else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        left = size
        while left > 0:
            left -= os.write(descriptor, memoryview(data)[: min(block, left)])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take(path: Path, size: int, block: int, direct: bool) -> None:
    """Read a file that was written before, from the disk where the file system allows it. Raises OSError."""
    data = mmap.mmap(-1, block)
    descriptor = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    try:
        with contextlib.suppress(OSError):  # what holds no cache has none to drop
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        left = size
        while left > 0:
            count = os.readv(descriptor, [data])
            if count == 0:
                raise OSError(f"{path.name} ends {left} bytes too soon")
            left -= count
    finally:
        os.close(descriptor)


def _direct(folder: Path) -> bool:
    """Whether the file system lets the page cache be passed by (tmpfs and some network file systems do not)."""
    try:
        write(folder / "direct", mmap.PAGESIZE, mmap.PAGESIZE, direct=True)
    except OSError:
        return False
    return True
