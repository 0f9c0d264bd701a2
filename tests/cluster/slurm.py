"""A real Slurm of two nodes on this machine; see `slurm-up` beside this file."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = ("sbatch", "slurmctld", "slurmd", "munged", "ip")


@dataclass(frozen=True)
class Slurm:
    """A running cluster: `conf` is its slurm.conf (SLURM_CONF), `nodes` are the names of its nodes."""

    directory: Path
    conf: Path
    nodes: tuple[str, ...]

    def ask(self, *argv: str) -> str:
        """What a Slurm command prints; raises CalledProcessError."""
        environ = {**os.environ, "SLURM_CONF": str(self.conf)}
        ended = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=True)
        return ended.stdout

    def job(self, job_id: str) -> dict[str, str]:
        """The fields of `scontrol show job`: JobState, ExitCode, NodeList, ..."""
        words = self.ask("scontrol", "-o", "show", "job", job_id).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job_id: str, *states: str, seconds: float = 60.0) -> dict[str, str]:
        """Wait until a job is in one of these states."""
        until = time.monotonic() + seconds
        while (found := self.job(job_id))["JobState"] not in states:
            assert time.monotonic() < until, f"job {job_id} is {found['JobState']}, not {states}"
            time.sleep(0.1)
        return found

    def lose(self, node: str) -> None:
        """End every process of a node at once, its slurmd too, as when its host goes down."""
        pids = subprocess.run(["ip", "netns", "pids", node], capture_output=True, text=True, check=True).stdout.split()
        for signum in (signal.SIGSTOP, signal.SIGKILL):  # none sees another die: srun's child would end the whole step
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signum)

    def mend(self, node: str) -> None:
        """Bring a lost node back; the controller does not wait for its old jobs any more."""
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
        environ = {**os.environ, "SLURM_CONF": str(self.conf)}
        subprocess.run([str(HERE / "node-up"), node], env=environ, timeout=60, check=True)

    @contextmanager
    def cut_off(self, node: str) -> Iterator[None]:
        """A node without its network cable."""
        argv = ["ip", "-n", node, "link", "set", "eth0"]
        subprocess.run([*argv, "down"], check=True)
        try:
            yield
        finally:
            subprocess.run([*argv, "up"], check=True)


def number() -> int:
    """Which cluster of this machine is ours: one for each process that runs tests at a time."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return int(os.environ.get("PRIMUS_TEST_CLUSTER", "0")) + int(worker.removeprefix("gw"))


@contextmanager
def cluster(directory: Path, nodes: int = 2, cpus: int = 4) -> Iterator[Slurm]:
    """Bring a cluster up, and down again. A machine that cannot skips the test; in CI (`CI` is set) it fails."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid():
        why = f"a Slurm cluster needs root and {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    argv = [str(HERE / "slurm-up"), str(directory), str(number()), str(nodes), str(cpus)]
    up = subprocess.run(argv, capture_output=True, text=True, timeout=180)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        names = tuple(f"c{number()}n{i + 1}" for i in range(nodes))
        yield Slurm(directory, Path(up.stdout.strip()), names)
    finally:
        subprocess.run([str(HERE / "slurm-down"), str(directory)], timeout=60, capture_output=True)
