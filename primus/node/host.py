"""The node itself: its name, cores and memory, as far as this process may use them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from primus.node.digits import whole


@dataclass(frozen=True)
class Cpu:
    """`cores` and `memory` (bytes) are what a job may use: the affinity mask and the limits of cgroups count."""

    model: str
    cores: int
    memory: int


def name() -> str:
    """The host name up to its first dot."""
    return os.uname().nodename.split(".")[0]


def survey(root: Path = Path("/")) -> Cpu:
    """What this process may use of the host, from /proc and the cgroup file system under `root`."""
    return Cpu(_model(root), cores(root), memory(root))


def cores(root: Path = Path("/")) -> int:
    """How many cores the affinity mask and the CPU quota leave: at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [q for q in _quotas(root) if q]
    return max(1, min([affinity, *(math.floor(q) for q in quotas)]))


def memory(root: Path = Path("/")) -> int:
    """Bytes of memory: of the host, or less where a cgroup limits it. 0 where it cannot be told."""
    total = 0
    for line in _read(root / "proc/meminfo").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "MemTotal:" and whole(words[1]):
            total = int(words[1]) * 1024
    limits = [int(text) for text in _limits(root, "memory.max", "memory/memory.limit_in_bytes") if whole(text)]
    return min([total, *limits]) if total else min(limits, default=0)


def _quotas(root: Path) -> Iterator[float]:
    for text in _limits(root, "cpu.max", ""):  # cgroup 2: "200000 100000", or "max 100000"
        quota, _, period = text.partition(" ")
        if whole(quota) and whole(period) and int(period):
            yield int(quota) / int(period)
    quota, period = (_read(root / f"sys/fs/cgroup/cpu/cpu.cfs_{part}_us") for part in ("quota", "period"))
    if whole(quota) and whole(period) and int(period):  # cgroup 1: -1 is none
        yield int(quota) / int(period)


def _limits(root: Path, modern: str, legacy: str) -> List[str]:
    """The text of a limit in this process's cgroup and in all above it; a container sees its own as the root."""
    base = root / "sys/fs/cgroup"
    directories = [base]
    for line in _read(root / "proc/self/cgroup").splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            for part in Path(path.lstrip("/")).parts:
                directories.append(directories[-1] / part)
    files = [directory / modern for directory in directories] + ([base / legacy] if legacy else [])
    return [text for text in map(_read, files) if text]


def _model(root: Path) -> str:
    try:
        with open(root / "proc/cpuinfo", "rb", buffering=0) as file:
            head = file.read(4096)  # one core's worth: the kernel asks every core for the rest
    except OSError:
        return ""
    for line in head.decode(errors="replace").splitlines():
        if line.startswith(("model name", "Hardware", "cpu model")):
            return line.partition(":")[2].strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def out_of_memory_kills(root: Path = Path("/")) -> int:
    """How many processes of this host the kernel has killed since boot because memory, or a cgroup's, ran out."""
    for line in _read(root / "proc/vmstat").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def pin(wanted: Tuple[int, ...]) -> Optional[str]:
    """Keep this process, and all that it starts, on these cores; what is wrong with them, if anything."""
    if not hasattr(os, "sched_setaffinity"):
        return "this system cannot pin a process to cores"
    try:
        os.sched_setaffinity(0, wanted)
    except OSError as error:
        return f"cores {', '.join(map(str, wanted))} cannot be used: {error.strerror}"
    return None
