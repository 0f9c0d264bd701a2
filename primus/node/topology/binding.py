"""Which cores and which network adapter are nearest to each rank's GPU. Pure."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from primus.node.topology import DISTANCES, Gpu, Nic, Topology

Threads = Callable[[Sequence[int]], List[Tuple[int, ...]]]


@dataclass(frozen=True)
class Binding:
    """Of one rank: its GPU, the NUMA node, the cores there that are its own, and an adapter, `away` by so much.

    `numa` None and no `cores`: nothing speaks for any.
    """

    local_rank: int
    gpu: str
    address: str
    numa: Optional[int]
    cores: Tuple[int, ...]
    nic: str
    away: str


def bindings(
    topology: Topology, addresses: Sequence[str], ranks: int, allowed: Sequence[int], threads: Threads
) -> Tuple[Binding, ...]:
    """Of so many ranks of a node, whose devices have these PCI addresses (none: a node without GPUs).

    A rank belongs to the NUMA node of its GPU; without GPUs the ranks are spread over the NUMA nodes in order. The
    `allowed` cores of a node are divided among its ranks by physical cores; `threads` gives those of logical ones.
    """
    gpu_at = {gpu.pci.address: gpu for gpu in topology.gpus}
    own = [gpu_at.get(addresses[rank % len(addresses)].lower()) if addresses else None for rank in range(ranks)]
    near = [_numa(topology, own[rank], rank, ranks, bool(addresses)) for rank in range(ranks)]
    cores = _cores(topology, near, set(allowed), threads)
    used: Dict[str, int] = {}
    found = []
    for rank in range(ranks):
        gpu = own[rank]
        nic, away = _nearest(topology, gpu, used) if gpu else (None, "")
        if nic:
            used[nic.name] = used.get(nic.name, 0) + 1
        found.append(
            Binding(
                rank,
                gpu.name if gpu else "",
                gpu.pci.address if gpu else "",
                near[rank] if cores[rank] else None,
                cores[rank],
                nic.name if nic else "",
                away,
            )
        )
    return tuple(found)


def _numa(topology: Topology, gpu: Optional[Gpu], rank: int, ranks: int, has_gpus: bool) -> Optional[int]:
    if gpu and gpu.pci.numa is not None:
        return gpu.pci.numa
    with_cores = [node.number for node in topology.numa if node.cores]
    if len(with_cores) == 1:
        return with_cores[0]
    return None if has_gpus or not with_cores else with_cores[rank * len(with_cores) // ranks]


def _cores(
    topology: Topology, near: Sequence[Optional[int]], allowed: "set[int]", threads: Threads
) -> List[Tuple[int, ...]]:
    found: List[Tuple[int, ...]] = [()] * len(near)
    for node in topology.numa:
        ranks = [rank for rank, where in enumerate(near) if where == node.number]
        whole = threads([core for core in node.cores if core in allowed])
        for place, rank in enumerate(ranks):
            part = whole[place * len(whole) // len(ranks) : (place + 1) * len(whole) // len(ranks)]
            shared = part if len(whole) >= len(ranks) else whole  # fewer cores than ranks: all have all
            found[rank] = tuple(sorted(core for one in shared for core in one))
    return found


def _nearest(topology: Topology, gpu: Gpu, used: Dict[str, int]) -> Tuple[Optional[Nic], str]:
    """An adapter that is up, of InfiniBand or RoCE where there are any: the nearest, of equals the one used least."""
    between = topology.between()
    up = [nic for nic in topology.nics if nic.up] or list(topology.nics)
    fast = [nic for nic in up if nic.kind != "ethernet"] or up
    if not fast:
        return None, ""
    away = {nic.name: between.get((gpu.name, nic.name), DISTANCES[-1]) for nic in fast}
    order = {kind: place for place, kind in enumerate(DISTANCES)}
    nic = min(fast, key=lambda nic: (order.get(away[nic.name], len(order)), used.get(nic.name, 0)))
    return nic, away[nic.name]
