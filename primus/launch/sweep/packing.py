"""Which devices and cores a job of a sweep gets. Pure bookkeeping, nothing is started here."""

import math
from dataclasses import dataclass
from typing import TypeVar

from primus.launch.problems import BadRequest
from primus.node.plan import Job

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """Devices (as the driver names them) and cores of one job; empty: all that there are."""

    devices: tuple[str, ...]
    cores: tuple[int, ...]

    def arguments(self) -> list[str]:
        """The node agent's words for it."""
        words = []
        if self.devices:
            words += ["--devices", ",".join(self.devices)]
        if self.cores:
            words += ["--cores", ",".join(map(str, self.cores))]
        return words


class Pool:
    """The machine's devices and cores, handed out and taken back.

    `parallel` is `auto` (a job gets a device per rank, or a core per rank on a CPU) or the number of jobs at a time,
    each with an even share. A job that wants more than there is gets everything, alone. Raises BadRequest for another
    word.
    """

    def __init__(self, devices: tuple[str, ...], cores: tuple[int, ...], parallel: str | int) -> None:
        self._devices, self._cores = list(devices), list(cores)
        self._all_devices, self._all_cores = len(devices), len(cores)
        self._jobs: int | None = None
        if parallel != "auto":
            self._jobs = _jobs(parallel)
            if 0 < self._all_devices < self._jobs:
                raise BadRequest(f"hydra.launcher.parallel={self._jobs}: there are only {self._all_devices} devices")
        self._running = 0

    def take(self, job: Job) -> Placement | None:
        """A placement for the job, or None until another job has ended."""
        if self._jobs is not None and self._running >= self._jobs:
            return None
        devices, cores = self._wanted(job)
        if len(self._devices) < devices or len(self._cores) < cores:
            return None
        self._running += 1
        return Placement(_pop(self._devices, devices), _pop(self._cores, cores))

    def give_back(self, placement: Placement) -> None:
        """The job has ended."""
        self._running -= 1
        self._devices = sorted([*self._devices, *placement.devices])
        self._cores = sorted([*self._cores, *placement.cores])

    def _wanted(self, job: Job) -> tuple[int, int]:
        """Devices and cores for a job. More jobs at a time than cores: none is bound to any."""
        if self._jobs is not None:
            return self._all_devices // self._jobs, self._all_cores // self._jobs
        ranks = job.ranks_per_node or math.prod(job.parallel.values())
        if self._all_devices:
            devices = min(ranks, self._all_devices)
            return devices, self._all_cores * devices // self._all_devices
        return 0, min(ranks, self._all_cores)


def _pop(free: list[T], count: int) -> tuple[T, ...]:
    taken = tuple(free[:count])
    del free[:count]
    return taken


def _jobs(parallel: str | int) -> int:
    if isinstance(parallel, bool) or not str(parallel).isdigit() or int(parallel) < 1:
        raise BadRequest(f"hydra.launcher.parallel: {parallel!r} is neither auto nor a number of jobs")
    return int(parallel)
