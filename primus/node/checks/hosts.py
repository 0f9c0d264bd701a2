"""The host: memory, cores, NUMA, PCIe links, clock rates, limits."""

import os
import resource
from pathlib import Path
from typing import Optional

from primus.node import host
from primus.node.checks.files import below, meminfo, number, text
from primus.node.checks.finding import WARN, Notes
from primus.node.digits import whole

GIB = 1 << 30
_FILES = 65536  # open files: each rank has some for every peer, worker of its data loader and library
_LITTLE = 0.1  # of the memory
_SHM = 1 << 30  # docker's own default is 64 MiB; NCCL and data loaders of PyTorch share memory there
# Classes of PCI devices (pci.ids): display controllers, processing accelerators, InfiniBand and other network.
_ACCELERATORS, _NETWORK = ("0x03", "0x12"), ("0x0207", "0x0200", "0x0280")


def check(root: Path = Path("/")) -> Notes:
    """All of it, from the files under `root`."""
    notes = Notes("host")
    _memory(root, notes)
    _cores(root, notes)
    _governor(root, notes)
    _links(root, notes)
    _limits(root, notes)
    _shared_memory(root, notes)
    return notes


def _memory(root: Path, notes: Notes) -> None:
    fields = meminfo(root)
    total, free = host.memory(root), fields.get("MemAvailable", 0)
    if not total:
        notes.warn("memory", "cannot be read", "/proc/meminfo", "mount /proc")
        return
    seen = f"{free / GIB:.1f} of {fields.get('MemTotal', total) / GIB:.1f} GiB free"
    if free < _LITTLE * total:
        notes.fail("memory", seen, f"at least {_LITTLE:.0%}", "end what else runs on this node, or take another")
    else:
        notes.info("memory", seen)
    notes.same("memory", f"{round(fields.get('MemTotal', total) / GIB)} GiB", WARN, "look for a failed DIMM (dmesg)")
    if total < fields.get("MemTotal", 0):
        _group(total, host.memory_left(root), notes)
    if pages := fields.get("HugePages_Total", 0):
        held = pages * fields.get("Hugepagesize", 0)
        notes.info("hugepages", f"{pages} reserved, {held / GIB:.1f} GiB")
    transparent = text(root / "sys/kernel/mm/transparent_hugepage/enabled")
    if transparent:
        chosen = transparent.partition("[")[2].partition("]")[0]
        notes.same("transparent hugepages", chosen, WARN, "set /sys/kernel/mm/transparent_hugepage/enabled alike")


def _group(limit: int, left: Optional[int], notes: Notes) -> None:
    if left is None:
        notes.info("cgroup memory", f"limited to {limit / GIB:.1f} GiB")
        return
    seen = f"{left / GIB:.1f} of {limit / GIB:.1f} GiB free"
    if left < _LITTLE * limit:
        notes.fail("cgroup memory", seen, f"at least {_LITTLE:.0%}", "ask for more (runtime.mem), or end what holds it")
    else:
        notes.info("cgroup memory", seen)


def _cores(root: Path, notes: Notes) -> None:
    cpu = host.survey(root)
    online = _count(text(root / "sys/devices/system/cpu/online")) or os.cpu_count() or 1
    notes.info("cores", f"{cpu.cores} usable of {online}, {cpu.model or 'unknown model'}")
    notes.same("cores", cpu.cores, WARN, "compare the allocation, SMT and the cgroup of the nodes")
    notes.same("cpu", cpu.model, WARN, "nodes of one job should be of one kind: choose them by constraint")
    nodes = below(root / "sys/devices/system/node", "node[0-9]*")
    notes.info("numa", f"{len(nodes) or 1} node{'s' * (len(nodes) > 1)}")
    notes.same("numa nodes", len(nodes) or 1, WARN, "compare the firmware settings (NPS, sub-NUMA clustering)")
    if len(nodes) > 1 and number(root / "proc/sys/kernel/numa_balancing") == 1:
        notes.warn(
            "numa balancing", "on", "off: it moves pages while ranks use them",
            "sysctl kernel.numa_balancing=0",
        )  # fmt: skip


def _count(ranges: str) -> int:
    """How many `0-3,8` names."""
    total = 0
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        if whole(first) and whole(last or first):
            total += int(last or first) - int(first) + 1
    return total


def _governor(root: Path, notes: Notes) -> None:
    paths = below(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    governors = sorted({text(path) for path in paths} - {""})
    if not governors:
        notes.info("governor", "the kernel does not choose the clock rate")
    elif governors == ["performance"]:
        notes.info("governor", "performance")
    else:
        mend = "cpupower frequency-set -g performance"
        notes.warn("governor", ", ".join(governors), "performance on all cores", mend)


def _links(root: Path, notes: Notes) -> None:
    """Of GPUs and network devices. Their speed alone says little: an idle GPU lowers it."""
    for device in below(root / "sys/bus/pci/devices"):
        kind = text(device / "class")
        width, widest = number(device / "current_link_width"), number(device / "max_link_width")
        if not kind.startswith((*_ACCELERATORS, *_NETWORK)) or not width or not widest:
            continue
        name = f"pcie {device.name}"
        speed, fastest = text(device / "current_link_speed"), text(device / "max_link_speed")
        seen = f"x{width} at {speed}"
        if width < widest:
            mend = "reseat the card or its riser; lspci -vv shows LnkSta of each bridge on the way"
            notes.warn(name, seen, f"x{widest} at {fastest}", mend)
        elif speed != fastest and kind.startswith(_NETWORK):
            notes.warn(name, seen, f"x{widest} at {fastest}", "check the slot, and the link speed in the firmware")
        else:
            notes.info(name, seen + ("" if speed == fastest else f" (idle; {fastest} at most)"))


def _limits(root: Path, notes: Notes) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = "unlimited" if files == resource.RLIM_INFINITY else f"{files} (hard {most})"
    if files != resource.RLIM_INFINITY and files < _FILES:
        mend = "raise nofile in limits.conf, slurmd's unit (LimitNOFILE) or container.ulimits"
        notes.warn("open files", seen, f"{_FILES} or more", mend)
    else:
        notes.info("open files", seen)
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    seen = "unlimited" if locked == resource.RLIM_INFINITY else f"{locked // 1024} KiB"
    if locked != resource.RLIM_INFINITY and below(root / "sys/class/infiniband"):
        mend = "raise memlock in limits.conf, slurmd's unit (LimitMEMLOCK) or container.ulimits=[memlock=-1:-1]"
        notes.fail("locked memory", seen, "unlimited: RDMA registers memory", mend)
    else:
        notes.info("locked memory", seen)


def _shared_memory(root: Path, notes: Notes) -> None:
    try:
        found = os.statvfs(root / "dev/shm")
    except OSError as error:
        notes.fail("/dev/shm", str(error.strerror), "a tmpfs", "mount -t tmpfs tmpfs /dev/shm")
        return
    size, free = (n * found.f_frsize for n in (found.f_blocks, found.f_bavail))
    seen = f"{free / GIB:.1f} of {size / GIB:.1f} GiB free"
    if free < _SHM:
        mend = "delete what dead jobs left there; in a container set container.shm_size=16g"
        notes.warn("/dev/shm", seen, f"{_SHM / GIB:.0f} GiB free or more", mend)
    else:
        notes.info("/dev/shm", seen)
