"""One node of `task=analyze/topology`: one rank on each looks, the first tells. Python >= 3.9, as of an image."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from primus.node import bind, devices, host
from primus.node.checks.finding import Notes
from primus.node.topology import AREA, Topology, matrix, sysfs, tools
from primus.node.topology.binding import Binding
from primus.node.typed import plain, read
from primus.rank.gathering import gather
from primus.rank.results import Results


@dataclass(frozen=True)
class Config:
    """The content of rank.json: the GPU profile of the job, and for how many ranks of a node bindings are suggested."""

    gpu: str
    ranks: Optional[int]  # noqa: UP045 - read at run time, by Python 3.9 too


@dataclass(frozen=True)
class Seen:
    """What one node has, and the binding that is suggested there."""

    host: str
    topology: Topology
    bindings: tuple[Binding, ...]


def run(rank: dict[str, Any]) -> None:
    """Look at this node; rank 0 prints and writes what all have seen."""
    first = os.environ["LOCAL_RANK"] == "0"
    told = gather(plain(look(read(Config, rank))) if first else None)
    if told is None:
        return
    results = Results()
    kinds = alike([read(Seen, one) for one in told if one is not None])
    for nodes in kinds:
        tell(results, nodes, kinds)
        print("\n".join(words(nodes)), flush=True)


def look(config: Config, root: Path = Path("/")) -> Seen:
    """This node, by the kernel and the vendor's tools."""
    topology = tools.survey(root)
    found = devices.detect(config.gpu, os.environ, root)
    ranks = config.ranks or found.count or len([node for node in topology.numa if node.cores])
    return Seen(host.name(), topology, bind.suggested(topology, found, os.environ, ranks, root))


def alike(seen: Sequence[Seen]) -> list[list[Seen]]:
    """The nodes that are wired alike together, the largest group first."""
    groups: dict[tuple[Topology, tuple[Binding, ...]], list[Seen]] = {}
    for one in seen:
        groups.setdefault((one.topology, one.bindings), []).append(one)
    return sorted(groups.values(), key=len, reverse=True)


def tell(results: Results, nodes: Sequence[Seen], kinds: Sequence[Sequence[Seen]]) -> None:
    """The rows of nodes that are alike."""
    hosts, topology = _hosts(nodes), nodes[0].topology
    gpus = [link for link in topology.links if link.other.startswith("GPU")]
    results.row(
        "node",
        hosts=hosts,
        cpu=topology.cpu,
        cores=sum(len(node.cores) for node in topology.numa),
        numa_nodes=len(topology.numa),
        gpus=len(topology.gpus),
        gpu=", ".join(dict.fromkeys(gpu.model for gpu in topology.gpus)) or None,
        links=", ".join(f"{count} {kind}" for kind, count in _counted(link.kind for link in gpus).items()) or None,
        adapters=len(topology.nics),
        topology=plain(topology),
    )
    for one in nodes[0].bindings:
        results.row(
            "binding",
            hosts=hosts,
            local_rank=one.local_rank,
            gpu=one.gpu or None,
            address=one.address or None,
            numa=one.numa,
            cores=sysfs.short(one.cores) or None,
            nic=one.nic or None,
            away=one.away or None,
        )
    unlike = Notes(AREA)
    if nodes is not kinds[0]:
        usual = f"wired as {_hosts(kinds[0])}"
        unlike.warn("node", "wired in another way", usual, "compare the matrices, and the firmware's settings")
    for finding in (*topology.findings, *unlike.findings):
        results.row("finding", hosts=hosts, **plain(finding))


def words(nodes: Sequence[Seen]) -> Iterator[str]:
    """What the console shows of nodes that are alike."""
    topology = nodes[0].topology
    yield f"{_hosts(nodes)}: {topology.cpu}"
    yield ""
    yield matrix.text(topology)
    if topology.gpus:
        yield matrix.LEGEND


def _hosts(nodes: Sequence[Seen]) -> str:
    return ", ".join(sorted(node.host for node in nodes))


def _counted(kinds: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in kinds:
        found[kind] = found.get(kind, 0) + 1
    return found
