"""`task=analyze/topology`: how nodes are wired, and what `node.numa=auto` makes of it."""

import json
from dataclasses import dataclass
from typing import Any

from primus.launch import container
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.page import Picture, Table, Text
from primus.launch.report.wiring import picture
from primus.launch.results import Column, Rows, key
from primus.launch.task import Work
from primus.node.plan import File
from primus.node.topology import Topology, matrix
from primus.node.typed import DataError, bounded, read

COLUMNS = {
    "node": (
        key("hosts"),
        Column("cpu", "CPU"),
        Column("cores", "cores", "", 0),
        Column("numa_nodes", "NUMA nodes", "", 0),
        Column("gpus", "GPUs", "", 0),
        Column("gpu", "model"),
        Column("links", "links of GPUs"),
        Column("adapters", "adapters", "", 0),
    ),
    "binding": (
        key("hosts"),
        key("local_rank"),
        Column("gpu", "GPU"),
        Column("address", "PCI"),
        Column("numa", "NUMA node", "", 0),
        Column("cores", "cores"),
        Column("nic", "adapter"),
        Column("away", "away"),
    ),
    "finding": (
        *(key("hosts"), key("name", "what")),
        *(Column("seen", "seen", trouble=True), Column("expected", "expected"), Column("mend", "mend")),
    ),
}
TITLES = {"node": "Nodes", "binding": "Binding of ranks (node.numa=auto)", "finding": "Findings"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """For how many ranks of a node a binding is suggested; None: one per GPU, else one per NUMA node."""

    name: str
    ranks: int | None = bounded(least=1)
    python: str | None


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """One rank on each node. Raises BadRequest where it would be bound to a part of it."""
    if request.node.numa == "auto":
        raise BadRequest(f"task={task.name} looks at whole nodes: leave out node.numa=auto, whose effect it tells")
    python = task.python or container.python(request) or place.python
    content = {"gpu": request.gpu.name, "ranks": task.ranks or request.ranks_per_node}
    return Work(
        command=(python, "{primus.package}/rank", "topology", "{primus.run_dir}/rank.json"),
        files=(File("rank.json", json.dumps(content, indent=2) + "\n"),),
        ranks_per_node=1,
    )


def page(rows: Rows) -> list[Any]:
    """A picture and the matrix of every kind of node."""
    found: list[Picture | Text | Table] = []
    for row in rows.get("node", ()):
        try:
            topology: Topology = read(Topology, row.get("topology"))
        except DataError:
            continue
        hosts = str(row.get("hosts"))
        found += [Picture(f"Wiring of {hosts}", picture(topology))]
        found += [Text(f"Matrix of {hosts}", f"{matrix.text(topology)}\n\n{matrix.LEGEND}")]
    return found
