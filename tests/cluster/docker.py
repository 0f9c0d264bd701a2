"""A real Docker engine on this machine; see `docker-up` beside this file."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = ("docker", "dockerd", "containerd", "runc", "debootstrap")


@dataclass(frozen=True)
class Docker:
    """A running engine: `directory` holds all that it keeps, `host` is its DOCKER_HOST, `image` one that it has."""

    directory: Path
    host: str
    image: str = "primus-test:latest"

    def ask(self, *words: str) -> str:
        """What `docker …` prints; raises CalledProcessError."""
        argv = ["docker", "--host", self.host, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout

    def containers(self) -> list[str]:
        """The names of all containers, running or not."""
        return self.ask("ps", "--all", "--format", "{{.Names}}").split()

    def running(self) -> str:
        """The name of the one container, once it runs."""
        return self._until(lambda: self.ask("ps", "--format", "{{.Names}}").strip())

    def empty(self) -> bool:
        """Whether every container is removed, waiting for it."""
        return bool(self._until(lambda: "none" if not self.containers() else ""))

    def clear(self) -> None:
        """Remove every container."""
        for name in self.containers():
            self.ask("rm", "--force", name)

    def _until(self, look: Callable[[], str], seconds: float = 60.0) -> str:
        until = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < until, f"after {seconds} s: {self.containers()}"
            time.sleep(0.05)
        return found


@contextmanager
def engine(directory: Path, node: str = "") -> Iterator[Docker]:
    """Start an engine, in the network of a node of Slurm's if one is named, and end it.

    A machine that cannot skips the test; in CI (`CI` is set) it fails.
    """
    missing = [program for program in PROGRAMS if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing or os.geteuid():
        why = f"a Docker engine needs root and {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    up = subprocess.run(
        [str(HERE / "docker-up"), str(directory), *([node] if node else [])],
        capture_output=True,
        text=True,
        timeout=280,
    )
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield Docker(directory, up.stdout.strip())
    finally:
        subprocess.run([str(HERE / "docker-down"), str(directory)], timeout=60, capture_output=True)
