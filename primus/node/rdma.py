"""The RDMA ports of a node (InfiniBand, RoCE), by sysfs: which of them NCCL is to use, and why not the others.

NCCL takes every active port by itself, the management and storage networks' too, and then waits for the slowest.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node.devices import Devices
from primus.node.plan import Layer, Variable

_VENDORS = {"0x15b3": "mellanox", "0x14e4": "broadcom", "0x1dd8": "ainic"}  # https://pci-ids.ucw.cz
HCA, GID, AINIC = "NCCL_IB_HCA", "NCCL_IB_GID_INDEX", "RCCL_AINIC_ROCE"


@dataclass(frozen=True)
class Gid:
    """An entry of a port's table of addresses: `kind` is IB/RoCE v1 or RoCE v2."""

    index: int
    kind: str
    address: str


@dataclass(frozen=True)
class Port:
    """A port; `kind` is mellanox, broadcom, ainic or empty, `layer` InfiniBand or Ethernet, `rate` in Gb/s.

    `interface` is the network interface of the same hardware, `left_out` why NCCL is not to use the port (empty: it
    is). `gids` are known of active Ethernet ports alone.
    """

    name: str
    kind: str
    layer: str
    state: str
    rate: float
    interface: str = ""
    bonded: bool = False
    left_out: str = ""
    gids: Tuple[Gid, ...] = ()

    @property
    def active(self) -> bool:
        """It can send."""
        return self.state == "ACTIVE"

    @property
    def folder(self) -> str:
        """Where sysfs has it, below /sys/class/infiniband."""
        device, _, number = self.name.partition(":")
        return f"{device}/ports/{number}"

    @property
    def used(self) -> bool:
        """NCCL is to use it."""
        return not self.left_out


def survey(gpus: int, root: Path = Path("/")) -> Tuple[Port, ...]:
    """The ports under `root`, judged for a node with so many GPUs."""
    found = judge(every(root), gpus, _default_interface(root))
    tables = (_gids(port, root) if port.layer == "Ethernet" and port.active else () for port in found)
    return tuple(replace(port, gids=table) for port, table in zip(found, tables))


def judge(ports: Sequence[Port], gpus: int, front: str) -> Tuple[Port, ...]:
    """The ports with the reason for which each is left out; `front` is the interface of the default route.

    A rule that would leave out all that is left does not count: a bonded or slow port is used where there is no other.
    """
    used = [port for port in ports if port.active]
    why: Dict[str, str] = {port.name: port.state.lower() or "in no state" for port in ports if port not in used}
    rules: Tuple[Tuple[str, Callable[[Port], bool]], ...] = (
        ("Ethernet beside InfiniBand", lambda port: port.layer != "InfiniBand"),  # github.com/NVIDIA/nccl/issues/302
        ("bonded, as management networks are", lambda port: port.bonded),
        ("slower than the others", lambda port: port.rate < max(other.rate for other in used)),
        ("has the default route, and there is a port for each GPU without it",
         lambda port: port.interface == front and len(used) > gpus),
    )  # fmt: skip
    for reason, applies in rules:
        out = [port for port in used if applies(port)]
        if len(out) < len(used):
            why.update((port.name, reason) for port in out)
            used = [port for port in used if port not in out]
    return tuple(replace(port, left_out=why.get(port.name, "")) for port in ports)


def layer(ports: Sequence[Port], found: Devices, asked: Optional[str], base: Mapping[str, str]) -> Layer:
    """What NCCL is told of the ports. `asked` is NCCL_IB_HCA as the plan or the node sets it, `base` the environment
    of the agent: what a site has set for its nodes there stays.
    """
    used = [port for port in ports if (port.used if asked is None else named(port, asked))]
    values: List[Tuple[str, str, str]] = []
    left = f", {len(ports) - len(used)} left out" if len(used) < len(ports) else ""
    if used and asked is None:
        values.append(
            (
                HCA,
                "=" + ",".join(port.name for port in used),
                f"{len(used)} active RDMA port{'s' * (len(used) > 1)}{left}",
            )
        )
    index = gid_index(used)
    if index is not None:
        kind = _family(next(gid for gid in used[0].gids if gid.index == index))
        values.append((GID, str(index), f"RoCE v2 with {kind} on each of {len(used)} ports"))
    if used and found.vendor == "amd" and all(port.kind == "ainic" for port in used):
        # RCCL has the rest by itself then: https://github.com/ROCm/rccl/pull/2078. Traffic classes are the switches'.
        values.append((AINIC, "1", "AMD AI NICs"))
    variables = (Variable(name, value, f"found on the node: {why}") for name, value, why in values if name not in base)
    return Layer("network detection", tuple(variables))


def gid_index(ports: Sequence[Port]) -> Optional[int]:
    """The index of a RoCE v2 address of one family on each of the ports: IPv4, else IPv6, else link-local.

    None where a port is none of RoCE, or the indices differ: NCCL (2.21 on) looks for each port's own then.
    """
    if not ports or any(port.layer != "Ethernet" for port in ports):
        return None
    tables = [[gid for gid in port.gids if gid.kind == "RoCE v2"] for port in ports]
    for family in ("IPv4", "IPv6", "a link-local address"):
        indices = [{gid.index for gid in table if _family(gid) == family} for table in tables]
        if all(indices):
            common = set.intersection(*indices)
            return min(common) if common else None
    return None


def named(port: Port, listed: str) -> bool:
    """Whether NCCL_IB_HCA chooses a port: entries are beginnings of names, with `=` before whole ones, `^`: not these.

    https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-ib-hca
    """
    negated, rest = listed.startswith("^"), listed.lstrip("^")
    exact, rest = rest.startswith("="), rest.lstrip("=")
    device, _, number = port.name.partition(":")
    for entry in filter(None, rest.split(",")):
        name, _, asked = entry.partition(":")
        if (device == name if exact else device.startswith(name)) and asked in ("", number):
            return not negated
    return negated


def described(ports: Sequence[Port]) -> str:
    """In a line: what is used, what is not and why."""
    used = [port.name for port in ports if port.used]
    out = [f"{port.name} ({port.left_out})" for port in ports if not port.used]
    if not ports:
        return "no RDMA port: NCCL uses TCP"
    return (", ".join(used) or "no RDMA port to use") + (f"; left out: {', '.join(out)}" if out else "")


def _family(gid: Gid) -> str:
    if gid.address.startswith("0000:0000:0000:0000:0000:ffff:"):
        return "IPv4"
    return "a link-local address" if gid.address.startswith("fe80:") else "IPv6"


def every(root: Path = Path("/")) -> List[Port]:
    """Every port there is, not judged, by name."""
    found = []
    paths = (root / "sys/class/infiniband").glob("*/ports/*")
    for path in sorted(paths, key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", str(p))]):
        device = path.parents[1]
        rate = re.match(r"[0-9]+(\.[0-9]+)?", _read(path / "rate"))  # 400 Gb/sec (4X NDR)
        interface = _interface(path)
        found.append(
            Port(
                name=f"{device.name}:{path.name}",
                kind=_VENDORS.get(_read(device / "device/vendor"), ""),
                layer=_read(path / "link_layer"),
                state=_read(path / "state").rpartition(":")[2].strip(),  # 4: ACTIVE
                rate=float(rate.group()) if rate else 0.0,
                interface=interface,
                bonded="bond" in device.name or _is_bonded(root / "sys/class/net" / interface),
            )
        )
    return found


def _interface(port: Path) -> str:
    """Of RoCE by the table of addresses; of InfiniBand (IPoIB) by the hardware."""
    by_address = _read(port / "gid_attrs/ndevs/0")
    there = sorted((port.parents[1] / "device/net").glob("*"))
    return by_address or (there[0].name if there else "")


def _is_bonded(interface: Path) -> bool:
    return (interface / "bonding").is_dir() or (interface / "bonding_slave").is_dir()


def _gids(port: Port, root: Path) -> Tuple[Gid, ...]:
    folder = root / "sys/class/infiniband" / port.folder
    found = []
    for path in (folder / "gids").glob("*"):
        address = _read(path)
        if address.replace(":", "").strip("0"):
            found.append(Gid(int(path.name), _read(folder / "gid_attrs/types" / path.name), address))
    return tuple(sorted(found, key=lambda gid: gid.index))


def _default_interface(root: Path) -> str:
    """Of the lowest metric."""
    routes = [line.split() for line in _read(root / "proc/net/route").splitlines()[1:]]
    default = [fields for fields in routes if len(fields) > 7 and fields[1] == fields[7] == "00000000"]
    return min(default, key=lambda fields: int(fields[6]))[0] if default else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # also EINVAL: an entry of the table that is not in use
        return ""
