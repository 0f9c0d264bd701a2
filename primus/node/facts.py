"""nodes/<n>.json: what a node is, what it resolved, and how its ranks ended."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from primus.node import host
from primus.node.container import handover
from primus.node.devices import Devices
from primus.node.environment import Resolved, World
from primus.node.outcome import Outcome
from primus.node.rundir import node_facts, reserve, write_json, write_last
from primus.node.typed import plain


class Facts:
    """The file of one node, rewritten whole as more is known."""

    def __init__(self, directory: Path, node_rank: int, say: Callable[[str, str], None]) -> None:
        self._say = say
        self._path = directory / node_facts(node_rank)
        reserve(self._path)
        self._known: Dict[str, Any] = {
            "node_rank": node_rank,
            "host": host.name(),
            "time": time.time(),
            "python": sys.version.split()[0],
            "platform": "{0.sysname} {0.release} {0.machine}".format(os.uname()),
        }
        container = handover.identity(os.environ)
        if container:
            self._known["container"] = container

    def add(self, known: Dict[str, Any]) -> None:
        """What is known from before."""
        self._known.update(known)

    def found(self, cpu: host.Cpu, devices: Devices, world: World, environment: List[Resolved]) -> None:
        """What the node has, and the environment of its ranks (redacted by the caller)."""
        self._known.update(
            cpu=plain(cpu),
            devices=plain(devices),
            world_size=world.size,
            ranks_per_node=world.ranks_per_node,
            master=f"{world.master_addr}:{world.master_port}",
            environment=[
                {"name": v.name, "value": v.value, "origin": v.origin, "overrode": plain(v.overrode)}
                for v in environment
            ],
        )

    def clock(self, offset: float) -> None:
        """How many seconds this node's clock is behind that of node 0."""
        self._known["clock_offset"] = offset

    def interpreter(self, told: Dict[str, Any]) -> None:
        """What the ranks' interpreter said about itself."""
        self._known["packages"] = told["packages"]
        self._known["interpreter"] = {"executable": told.get("executable"), "version": told.get("version")}

    def write(self, outcome: Optional[Outcome] = None) -> None:
        """Write the file; a full disk is said, and is no reason to end a job."""
        try:
            if outcome:
                write_last(self._path, {**self._known, "outcome": plain(outcome)})
            else:
                write_json(self._path, self._known)
        except OSError as error:
            self._say(f"{self._path} is not written: {error}", "ERROR")


def add_outcome(directory: Path, node_rank: int, outcome: Outcome) -> None:
    """Complete the file of an agent that did not live to write how it ended; raises OSError or ValueError."""
    path = directory / node_facts(node_rank)
    known = json.loads(path.read_text(encoding="utf-8"))
    write_last(path, {**known, "outcome": plain(outcome)})
