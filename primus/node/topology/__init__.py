"""How a node is wired: NUMA nodes, GPUs, network adapters, and what lies between any two of them."""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from primus.node.checks.finding import Finding

AREA = "topology"
"""That of the findings here."""
# From near to far, as nvidia-smi names them: below one PCIe bridge or switch; below more; below one host bridge; in one
# NUMA node; across NUMA nodes. Links of GPUs alone (NV18, XGMI) are nearer than all of these.
DISTANCES = ("PIX", "PXB", "PHB", "NODE", "SYS")


@dataclass(frozen=True)
class Numa:
    """A NUMA node: `cores` are logical, `memory` is in bytes, `distances` are to all nodes in their order (10: own)."""

    number: int
    cores: Tuple[int, ...]
    memory: int
    distances: Tuple[int, ...]


@dataclass(frozen=True)
class Pci:
    """Where a device is: `path` from the root complex down to its own address; `numa` None: the firmware does not say.

    `speed` (as `32.0 GT/s PCIe`) and `width` (lanes) are as they are now; `most_speed`, `most_width` what the device
    could do. An idle GPU lowers its speed.
    """

    address: str
    path: Tuple[str, ...]
    numa: Optional[int]
    speed: str = ""
    width: int = 0
    most_speed: str = ""
    most_width: int = 0


@dataclass(frozen=True)
class Gpu:
    """`name` is GPU0, GPU1, ... in the driver's order."""

    name: str
    model: str
    pci: Pci


@dataclass(frozen=True)
class Nic:
    """A network adapter: `kind` is infiniband, roce or ethernet, `up` whether its port is."""

    name: str
    kind: str
    pci: Pci
    rate: str
    up: bool
    interfaces: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """What joins two devices, by their names: NV18 (so many NVLinks), XGMI, or one of DISTANCES."""

    one: str
    other: str
    kind: str


@dataclass(frozen=True)
class Topology:
    """One node. `links` join every two GPUs and every GPU with every adapter; `findings` is what is odd."""

    cpu: str
    numa: Tuple[Numa, ...]
    gpus: Tuple[Gpu, ...]
    nics: Tuple[Nic, ...]
    links: Tuple[Link, ...]
    findings: Tuple[Finding, ...] = ()

    def between(self) -> Dict[Tuple[str, str], str]:
        """The kind of link by the names of both ends, in both orders."""
        there = {(link.one, link.other): link.kind for link in self.links}
        return {**{(other, one): kind for (one, other), kind in there.items()}, **there}


def distance(one: Pci, other: Pci, numa_nodes: int) -> str:
    """One of DISTANCES, by the bridges on the way."""
    shared = 0
    for mine, theirs in zip(one.path, other.path):
        if mine != theirs:
            break
        shared += 1
    if shared == 0:
        together = numa_nodes < 2 or (one.numa is not None and one.numa == other.numa)
        return "NODE" if together else "SYS"
    if shared == 1:
        return "PHB"
    below = max(len(one.path), len(other.path)) - 1 - shared  # bridges under the one that both are below
    return "PIX" if below <= 1 else "PXB"
