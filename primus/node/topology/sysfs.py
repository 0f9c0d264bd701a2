"""A node's topology from the kernel's files: nothing is started, so that the agent can read it before its ranks start.

Of links between GPUs the kernel knows AMD's alone; `tools` adds NVIDIA's.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from primus.node import devices, host
from primus.node.checks.finding import Finding, Notes
from primus.node.digits import whole
from primus.node.topology import AREA, Gpu, Link, Nic, Numa, Pci, Topology, distance

_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_XGMI = 11  # CRAT_IOLINK_TYPE_XGMI of the kernel's drivers/gpu/drm/amd/amdkfd/kfd_crat.h

_MOST_CORES = 1 << 16  # the kernel's own most is 8,192 (NR_CPUS of x86_64)


def survey(root: Path = Path("/")) -> Topology:
    """Everything that the files under `root` say."""
    nodes = numa(root)
    found = devices.every(root)
    gpus = tuple(Gpu(f"GPU{n}", one.model, pci(one.address, root)) for n, one in enumerate(found))
    adapters = nics(root)
    links = joined(gpus, adapters, len(nodes), _xgmi(root, {one.node: gpus[n].name for n, one in enumerate(found)}))
    return Topology(host.survey(root).model, nodes, gpus, adapters, links, _odd(nodes, gpus))


def joined(
    gpus: Sequence[Gpu], nics: Sequence[Nic], numa_nodes: int, direct: Mapping[Tuple[str, str], str]
) -> Tuple[Link, ...]:
    """Every two GPUs, and each GPU with each adapter; `direct` are links of GPUs that do not go over PCIe."""
    links = [
        Link(one.name, other.name, direct.get((one.name, other.name)) or distance(one.pci, other.pci, numa_nodes))
        for n, one in enumerate(gpus)
        for other in gpus[n + 1 :]
    ]
    links += [Link(gpu.name, nic.name, distance(gpu.pci, nic.pci, numa_nodes)) for gpu in gpus for nic in nics]
    return tuple(links)


def numa(root: Path = Path("/")) -> Tuple[Numa, ...]:
    """The NUMA nodes that have cores or memory; one of all cores where the kernel tells of none.

    A sole one has all memory of the host, whatever its own file says: that of a guest has told a seventh of it.
    """
    found = []
    for path in sorted((root / "sys/devices/system/node").glob("node[0-9]*"), key=lambda p: int(p.name[4:])):
        total = re.search(r"MemTotal:\s+(\d+) kB", _read(path / "meminfo"))
        memory = int(total.group(1)) << 10 if total else 0
        cores = listed(_read(path / "cpulist"))
        distances = tuple(int(word) for word in _read(path / "distance").split() if whole(word))
        if cores or memory:
            found.append(Numa(int(path.name[4:]), cores, memory, distances))
    if len(found) == 1:
        found = [replace(found[0], memory=host.memory_now(root).total or found[0].memory)]
    return tuple(found) or (Numa(0, listed(_read(root / "sys/devices/system/cpu/online")), host.memory(root), (10,)),)


def siblings(root: Path, cores: Sequence[int]) -> List[Tuple[int, ...]]:
    """Logical cores by physical core, in order: those of a list that are threads of one."""
    left, found = set(cores), []
    for core in sorted(cores):
        if core in left:
            path = root / f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
            own = tuple(one for one in listed(_read(path)) if one in left) or (core,)
            left.difference_update(own)
            found.append(own)
    return found


def pci(address: str, root: Path = Path("/")) -> Pci:
    """A PCI device; without a path where the kernel does not show it."""
    here = root / "sys/bus/pci/devices" / address.lower()
    path = tuple(part for part in Path(os.path.realpath(here)).parts if part.startswith("pci") or _ADDRESS.match(part))
    near = _read(here / "numa_node")
    return Pci(
        address.lower(),
        path if here.exists() else (),
        int(near) if whole(near) else None,  # -1: not known
        _read(here / "current_link_speed"),
        _number(_read(here / "current_link_width")),
        _read(here / "max_link_speed"),
        _number(_read(here / "max_link_width")),
    )


def nics(root: Path = Path("/")) -> Tuple[Nic, ...]:
    """InfiniBand and RoCE adapters, then other network interfaces of PCI devices; no virtual functions of a host."""
    found = list(_infiniband(root))
    known: Set[str] = {interface for nic in found for interface in nic.interfaces}
    for path in sorted((root / "sys/class/net").glob("*")):
        address = _address(path / "device")
        if address and path.name not in known and not (path / "device/physfn").exists():
            speed = _number(_read(path / "speed"))
            rate = f"{speed / 1000:g} Gb/sec" if speed > 0 else ""
            up = _read(path / "operstate") != "down"
            found.append(Nic(path.name, "ethernet", pci(address, root), rate, up, (path.name,)))
    return tuple(found)


def listed(text: str) -> Tuple[int, ...]:
    """`0-3,8` as the numbers that it stands for; none for text that is no list."""
    found: List[int] = []
    for part in text.strip().split(","):
        match = re.fullmatch(r"([0-9]{1,7})(?:-([0-9]{1,7}))?", part.strip())
        if match and int(match.group(2) or 0) < _MOST_CORES:
            found += range(int(match.group(1)), int(match.group(2) or match.group(1)) + 1)
    return tuple(found)


def short(numbers: Sequence[int]) -> str:
    """The other way: `0-3,8`."""
    parts: List[List[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def _infiniband(root: Path) -> Iterator[Nic]:
    for path in sorted((root / "sys/class/infiniband").glob("*"), key=lambda p: _natural(p.name)):
        address = _address(path / "device")
        if not address or (path / "device/physfn").exists():
            continue
        ports = sorted((path / "ports").glob("*"))
        layers = {_read(port / "link_layer") for port in ports}
        active = [port for port in ports if _read(port / "state").startswith("4")]  # "4: ACTIVE"
        interfaces = tuple(sorted(one.name for one in (path / "device/net").glob("*")))
        kind = "roce" if layers == {"Ethernet"} else "infiniband"
        rate = _read((active or ports)[0] / "rate") if ports else ""
        yield Nic(path.name, kind, pci(address, root), rate, bool(active), interfaces)


def _xgmi(root: Path, names: Mapping[str, str]) -> Dict[Tuple[str, str], str]:
    """Links of AMD's GPUs by the names of both, from the KFD driver; `names` are those of the GPUs by its nodes."""
    links: List[Tuple[str, str]] = []
    for node in (root / "sys/class/kfd/kfd/topology/nodes").glob("[0-9]*"):
        for path in node.glob("io_links/*/properties"):
            fields = dict(line.split(None, 1) for line in _read(path).splitlines() if " " in line)
            if fields.get("type", "").strip() == str(_XGMI):
                links.append((fields.get("node_from", "").strip(), fields.get("node_to", "").strip()))
    return {(names[one], names[other]): "XGMI" for one, other in links if one in names and other in names}


def _odd(nodes: Sequence[Numa], gpus: Sequence[Gpu]) -> Tuple[Finding, ...]:
    notes = Notes(AREA)
    for gpu in gpus:
        pci, name = gpu.pci, f"{gpu.name} ({gpu.pci.address or 'no address'})"
        if not pci.path:
            mend = "give the job or container the whole of /sys; in a guest the host says what lies between devices"
            notes.warn(name, "not on the PCI bus that this node shows", "a place on the bus", mend)
        elif pci.numa is None and len(nodes) > 1:
            mend = "turn on NUMA affinity of PCIe slots in the firmware's settings, or bind by hand"
            notes.warn(name, "the firmware does not say which NUMA node it is at", "its NUMA node", mend)
        if 0 < pci.width < pci.most_width:
            mend = "seat the card and its riser anew, and look at the slot's width in the firmware's settings"
            notes.warn(name, f"{pci.width} PCIe lanes", f"{pci.most_width}, as it can", mend)
    return tuple(notes.findings)


def _address(device: Path) -> Optional[str]:
    """The PCI address of what a link of sysfs leads to: of a virtio device, that of its PCI function."""
    parts = Path(os.path.realpath(device)).parts if device.exists() else ()
    return next((part for part in reversed(parts) if _ADDRESS.fullmatch(part)), None)


def _natural(name: str) -> List[Tuple[int, str]]:
    return [(int(part), "") if whole(part) else (-1, part) for part in re.split(r"(\d+)", name)]


def _number(text: str) -> int:
    digits = text.strip()
    return int(digits) if whole(digits) else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not there; or, as the speed of an interface that is down, not to be read
        return ""
