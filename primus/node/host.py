"""The node itself: its name, cores and memory, as far as this process may use them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from primus.node.digits import whole

_NO_LIMIT = 1 << 60  # bytes: cgroup 1 says the largest number of pages for none


@dataclass(frozen=True)
class Memory:
    """Bytes of memory: of the host, and of the cgroup that allows the least; 0 where it cannot be told."""

    total: int
    available: int
    limit: int
    peak: int

    def __str__(self) -> str:
        host = f"the host has {_gib(self.total)}, {_gib(self.available)} of it available now"
        if not self.limit:
            return host
        peak = f", of which {_gib(self.peak)} were used at most" if self.peak else ""
        return f"its cgroup allows {_gib(self.limit)}{peak}; {host}"


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
    found = memory_now(root)
    return min(filter(None, (found.total, found.limit)), default=0)


def memory_now(root: Path = Path("/")) -> Memory:
    """Limits of memory, and how near to them this process and its group have come."""
    sizes = {"MemTotal": 0, "MemAvailable": 0}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if name in sizes and words and whole(words[0]):
            sizes[name] = int(words[0]) * 1024
    limit, group = _narrowest(root)
    peaks = (_read(group / name) for name in ("memory.peak", "memory.max_usage_in_bytes")) if limit else ()
    peak = next((int(text) for text in peaks if whole(text)), 0)
    return Memory(sizes["MemTotal"], sizes["MemAvailable"], limit, peak)


def memory_left(root: Path = Path("/")) -> Optional[int]:
    """Bytes that the narrowest cgroup leaves of its limit; files that it can drop from memory take none of it.

    None where there is no limit, or what it holds cannot be told.
    """
    limit, group = _narrowest(root)
    held = next((text for name in ("memory.current", "memory.usage_in_bytes") if (text := _read(group / name))), "")
    if not limit or not whole(held):
        return None
    fields = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines() if " " in line)
    cached = fields.get("total_inactive_file", fields.get("inactive_file", "0"))  # cgroup 1: with the groups below
    return max(0, limit - int(held) + (int(cached) if whole(cached) else 0))


def _narrowest(root: Path) -> Tuple[int, Path]:
    """The least limit of memory, and the group that has it; 0 where there is none."""
    limited = [(limit, group) for group in _groups(root, "memory") if (limit := _memory_limit(group))]
    limit, group = min(limited, default=(0, root), key=lambda one: one[0])
    return (0, root) if limit >= _NO_LIMIT else (limit, group)


def _memory_limit(group: Path) -> int:
    for name in ("memory.max", "memory.limit_in_bytes"):  # cgroup 2: "max" for none; cgroup 1
        text = _read(group / name)
        if whole(text):
            return int(text)
    return 0


def _quotas(root: Path) -> Iterator[float]:
    for group in _groups(root, None):  # cgroup 2: "200000 100000", or "max 100000"
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if whole(quota) and whole(period) and int(period):
            yield int(quota) / int(period)
    quota, period = (_read(root / f"sys/fs/cgroup/cpu/cpu.cfs_{part}_us") for part in ("quota", "period"))
    if whole(quota) and whole(period) and int(period):  # cgroup 1: -1 is none
        yield int(quota) / int(period)


def _groups(root: Path, legacy: Optional[str]) -> List[Path]:
    """The folders of this process's cgroup and of all above it; a container sees its own as the root.

    Of cgroup 2, and of the `legacy` hierarchy of cgroup 1.
    """
    base = root / "sys/fs/cgroup"
    found = [base, *([base / legacy] if legacy else [])]
    for line in _read(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" or (legacy and legacy in controllers.split(",")):
            folder = base if hierarchy == "0" else base / str(legacy)
            for part in Path(path.lstrip("/")).parts:
                folder = folder / part
                found.append(folder)
    return found


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


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
