"""A real podman with a store of its own, as root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .docker import HERE

PROGRAMS = ("podman", "conmon", "runc", "debootstrap")


@dataclass(frozen=True)
class Podman:
    """`environ` names its store and its runtime, `image` is what the store has."""

    environ: Mapping[str, str]
    image: str = "localhost/primus-test:latest"

    def ask(self, *words: str) -> str:
        """What `podman …` prints; raises CalledProcessError."""
        environ, argv = {**os.environ, **self.environ}, ["podman", *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout

    def containers(self) -> list[str]:
        """The names of all containers, running or not."""
        return self.ask("ps", "--all", "--format", "{{.Names}}").split()


@contextmanager
def store() -> Iterator[Podman]:
    """A store with the one image. A machine that cannot skips the test; in CI (`CI` is set) it fails."""
    # A short path: below a folder of pytest-xdist's the sockets of a container have names that are too long.
    directory = Path(tempfile.mkdtemp(prefix="podman-"))
    missing = [program for program in PROGRAMS if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing or os.geteuid():
        why = f"podman as root needs {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    # runc: crun asks more of a kernel than every machine that runs tests gives
    # Locks of its own: those in shared memory are one set for all stores of a host, and tests run beside each other.
    (directory / "containers.conf").write_text(
        f'[engine]\nruntime = "runc"\nlock_type = "file"\ntmp_dir = "{directory}/tmp"\n'
    )
    (directory / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/store"\nrunroot = "{directory}/run"\n'
    )
    podman = Podman(
        {
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
        }
    )
    archive = subprocess.run([str(HERE / "rootfs")], capture_output=True, text=True, timeout=280, check=True)
    podman.ask("import", archive.stdout.strip(), podman.image)
    try:
        yield podman
    finally:
        podman.ask("rm", "--all", "--force")
        subprocess.run(["umount", str(directory / "store/overlay")], capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)
