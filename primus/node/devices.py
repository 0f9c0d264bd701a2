"""Which accelerators a node has, read from the drivers' files: nothing is started, so a dry run may ask too."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node.digits import whole

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
VISIBILITY = (CUDA, HIP, ROCR)

# PCI device ids of vendor 1002 (https://pci-ids.ucw.cz; all with virtual functions, as AMD labels nodes by them:
# https://github.com/ROCm/gpu-operator/blob/6df13c1/helm-charts-k8s/templates/gpu-nfd-default-rule.yaml); the driver's
# files give no marketing name.
AMD_MODELS = {
    0x7408: "MI250X", 0x740C: "MI250X", 0x740F: "MI210", 0x7410: "MI210",
    0x74A0: "MI300A", 0x74A1: "MI300X", 0x74A2: "MI308X", 0x74A5: "MI325X", 0x74A8: "MI308X", 0x74A9: "MI300X",
    0x74B5: "MI300X", 0x74B6: "MI308X", 0x74B9: "MI325X", 0x74BC: "MI308X", 0x74BD: "MI300X",
    0x75A0: "MI350X", 0x75A3: "MI355X", 0x75A8: "MI350P", 0x75B0: "MI350X", 0x75B3: "MI355X", 0x75B8: "MI350P",
}  # fmt: skip


@dataclass(frozen=True)
class Devices:
    """The accelerators that a job may use: `visible` are their names for the visibility variable (indices or UUIDs).

    `vendor` is nvidia, amd or cpu; on cpu `count` is 0 and `model` and `driver` are empty. `pci` are the ids of the
    kinds of GPU there are, `10de:2335` (empty: not known).
    """

    vendor: str
    model: str
    count: int
    visible: Tuple[str, ...]
    driver: str
    pci: Tuple[str, ...] = ()

    @property
    def variable(self) -> Optional[str]:
        """The environment variable that narrows a process to some of these devices."""
        return {"nvidia": CUDA, "amd": HIP}.get(self.vendor)


@dataclass(frozen=True)
class Installed:
    """A GPU that the driver has; `address` is that on the PCI bus (`0000:17:00.0`), `pci` its id there (`10de:2335`).

    Either is empty where the driver does not say. `node` is AMD's: its name among those of the KFD driver's topology.
    """

    model: str
    uuid: str
    address: str = ""
    pci: str = ""
    node: str = ""


def words(found: Devices) -> str:
    """`NVIDIA H200, driver 580.105.08`, by which nodes are compared; empty for no GPU."""
    return f"{found.model}, driver {found.driver}" if found.model and found.driver else found.model


NONE = Devices("cpu", "", 0, (), "")


def detect(gpu: str, environ: Mapping[str, str], root: Path = Path("/")) -> Devices:
    """The accelerators under `root` that `environ` leaves visible; none when `gpu`, what the job asks for, is `cpu`."""
    if gpu == "cpu":
        return NONE
    nvidia = _nvidia(root)
    if nvidia:
        visible = _narrow(environ.get(CUDA), _indices(nvidia), nvidia)
        return _devices("nvidia", nvidia, visible, _nvidia_driver(root))
    amd = _amd(root)
    if amd:
        # ROCR_ narrows the machine, HIP_ (else CUDA_, which HIP reads too) counts within what ROCR_ left.
        left = _narrow(environ.get(ROCR), _indices(amd), amd)
        visible = _narrow(environ.get(HIP, environ.get(CUDA)), [str(i) for i in range(len(left))], amd)
        return _devices("amd", amd, visible, _read(root / "sys/module/amdgpu/version"))
    return NONE


def every(root: Path = Path("/")) -> Sequence[Installed]:
    """All GPUs under `root` in the driver's order, whatever is visible to a job."""
    return _nvidia(root) or _amd(root)


def addresses(devices: Devices, environ: Mapping[str, str], root: Path = Path("/")) -> Tuple[str, ...]:
    """The PCI address of each visible device; empty for one whose own it cannot tell (a part of a GPU, MIG).

    `environ` is that which `devices` were detected with.
    """
    return tuple(gpu.address if gpu else "" for gpu in installed(devices, environ, root))


def installed(devices: Devices, environ: Mapping[str, str], root: Path = Path("/")) -> Tuple[Optional[Installed], ...]:
    """What the driver has of each visible device; None for a part of a GPU (MIG)."""
    gpus = list(every(root))
    if devices.vendor == "amd":
        left = _narrow(environ.get(ROCR), _indices(gpus), gpus)
        gpus = [gpu for name in left for gpu in _named(name, gpus)]
    return tuple(next(iter(_named(name, gpus)), None) for name in devices.visible)


def _named(name: str, gpus: Sequence[Installed]) -> Sequence[Installed]:
    if whole(name):
        return gpus[int(name) : int(name) + 1]
    return [gpu for gpu in gpus if gpu.uuid.startswith(name)]


def restrict(devices: Devices, names: Sequence[str]) -> Devices:
    """Only these of the visible devices. Raises ValueError for a name that is not among them."""
    missing = [name for name in names if name not in devices.visible]
    if missing:
        there = ", ".join(devices.visible) or "none"
        raise ValueError(f"device {', '.join(missing)} is not visible on this node; there are: {there}")
    return Devices(devices.vendor, devices.model, len(names), tuple(names), devices.driver, devices.pci)


def is_one_of(model: str, patterns: Sequence[str]) -> bool:
    """Whether a GPU of this name is of a profile: one of its patterns (`*`, `?`) fits, whatever the case."""
    return any(fnmatchcase(model.lower(), pattern.lower()) for pattern in patterns)


def check(gpu: str, patterns: Sequence[str], found: Devices) -> Optional[str]:
    """What is odd about these devices for a job that asks for `gpu`, whose GPUs are named by `patterns`; None: nothing.

    Raises NoDevices where a profile of GPUs was asked for and there is none.
    """
    if gpu in ("auto", "cpu"):
        return None
    if not found.count:
        raise NoDevices(
            f"gpu={gpu}, and this node has no GPU that the job may use. Mend it on the node (is the driver loaded, are "
            f"{', '.join(VISIBILITY)} and the container's devices right?), or take gpu=auto or gpu=cpu"
        )
    others = [model for model in found.model.split(", ") if patterns and not is_one_of(model, patterns)]
    if not others:
        return None
    return f"gpu={gpu}, but this node has {', '.join(others)}: the profile's environment and peaks are another GPU's"


class NoDevices(Exception):
    """A job of GPUs on a node that has none."""


def hidden(root: Path = Path("/")) -> Dict[str, str]:
    """Variables that keep a rank off the accelerators of a node that has some: for a job that asked for the CPU."""
    variable = detect("auto", {}, root).variable
    return {variable: "-1"} if variable else {}  # not "": HIP takes an empty list for no list


def _devices(vendor: str, gpus: Sequence[Installed], visible: Sequence[str], driver: str) -> Devices:
    models = ", ".join(dict.fromkeys(gpu.model for gpu in gpus))
    ids = tuple(dict.fromkeys(gpu.pci for gpu in gpus if gpu.pci))
    return Devices(vendor, models, len(visible), tuple(visible), driver, ids)


def _indices(gpus: Sequence[Installed]) -> List[str]:
    return [str(index) for index in range(len(gpus))]


def _narrow(wanted: Optional[str], indices: Sequence[str], gpus: Sequence[Installed]) -> List[str]:
    """What a visibility variable leaves: up to its first entry that names no device, as the drivers read it."""
    if wanted is None:
        return list(indices)
    visible: List[str] = []
    for entry in (part.strip() for part in wanted.split(",")):
        by_uuid = entry.startswith("MIG-") or (len(entry) > 4 and any(gpu.uuid.startswith(entry) for gpu in gpus))
        if entry in visible or not (entry in indices or by_uuid):
            break
        visible.append(entry)
    return visible


def _nvidia(root: Path) -> List[Installed]:
    """From /proc/driver/nvidia; a container may see all of those but the device files of only some."""
    nodes = {path.name[6:] for path in _glob(root / "dev", "nvidia[0-9]*") if whole(path.name[6:])}
    gpus = []
    for path in _glob(root / "proc/driver/nvidia/gpus", "*/information"):
        fields = _fields(_read(path), ":")
        if fields.get("GPU Excluded") != "Yes" and (not nodes or fields.get("Device Minor", "") in nodes):
            model, uuid = fields.get("Model", "NVIDIA GPU"), fields.get("GPU UUID", "")
            pci = _pci(root / "sys/bus/pci/devices" / path.parent.name)
            gpus.append(Installed(model, uuid, path.parent.name.lower(), pci))
    return gpus or [Installed("NVIDIA GPU", "") for _ in nodes]


def _pci(device: Path) -> str:
    vendor, number = _read(device / "vendor"), _read(device / "device")
    return f"{vendor[2:]}:{number[2:]}" if vendor and number else ""


def _nvidia_driver(root: Path) -> str:
    # NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build ...
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", _read(root / "proc/driver/nvidia/version"))
    return found.group(1) if found else ""


def _amd(root: Path) -> List[Installed]:
    """From the topology of the kernel's KFD driver; its CPUs have no SIMD units."""
    rendering = {path.name for path in _glob(root / "dev/dri", "renderD*")}
    gpus = []
    nodes = _glob(root / "sys/class/kfd/kfd/topology/nodes", "*/properties")
    for path in sorted(nodes, key=lambda p: int(p.parent.name) if whole(p.parent.name) else 0):
        fields = _fields(_read(path), " ")  # empty for a GPU that this container may not use
        usable = not rendering or f"renderD{fields.get('drm_render_minor')}" in rendering
        if _number(fields, "simd_count") > 0 and usable:
            uuid = f"GPU-{_number(fields, 'unique_id'):016x}"
            pci = f"{_number(fields, 'vendor_id'):04x}:{_number(fields, 'device_id'):04x}"
            gpus.append(Installed(_amd_model(fields), uuid, _kfd_address(fields, root), pci, path.parent.name))
    return gpus


def _kfd_address(fields: Mapping[str, str], root: Path) -> str:
    """`location_id` is the bus, and in its low byte device and function (kfd_topology.c).

    Of a GPU in partitions (CPX) the function is the number of the partition, and all are at function 0 of the bus.
    """
    place = _number(fields, "location_id")
    slot = f"{_number(fields, 'domain'):04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}"
    bus = root / "sys/bus/pci/devices"
    partition = place & 7 and (bus / f"{slot}.0").exists() and not (bus / f"{slot}.{place & 7}").exists()
    return f"{slot}.{0 if partition else place & 7}"


def _amd_model(fields: Mapping[str, str]) -> str:
    known = AMD_MODELS.get(_number(fields, "device_id"))
    return f"AMD Instinct {known}" if known else f"AMD {gfx(_number(fields, 'gfx_target_version'))}"


def gfx(version: int) -> str:
    """`gfx942` for 90402, `gfx90a` for 90010: major, minor and stepping in pairs of digits (kfd_topology.c)."""
    return f"gfx{version // 10000}{version // 100 % 100}{version % 100:x}"


def _fields(text: str, separator: str) -> Dict[str, str]:
    pairs = (line.split(separator, 1) for line in text.splitlines() if separator in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    return int(text) if whole(text) else 0


def _glob(directory: Path, pattern: str) -> List[Path]:
    return sorted(directory.glob(pattern)) if directory.is_dir() else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
