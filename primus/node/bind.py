"""`node.numa=auto`: each rank on the cores of its GPU's NUMA node, and its memory there."""

import os
import shutil
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence, Tuple

from primus.node import devices, process
from primus.node.devices import Devices
from primus.node.topology import Topology, sysfs
from primus.node.topology.binding import Binding, bindings

_PATIENCE = 5.0  # seconds for numactl to start a program that does nothing
Ask = Callable[[Sequence[str]], Optional[str]]


def suggested(
    topology: Topology, found: Devices, environ: Mapping[str, str], ranks: int, root: Path = Path("/")
) -> Tuple[Binding, ...]:
    """The binding of so many ranks of this node, within the cores that this process may use.

    `found` are the devices of the ranks in order, detected with `environ`.
    """
    addresses = devices.addresses(found, environ, root)
    allowed = sorted(os.sched_getaffinity(0))
    return bindings(topology, addresses, ranks, allowed, lambda cores: sysfs.siblings(root, cores))


def memory(bound: Sequence[Binding], topology: Topology, path: Optional[str], ask: Optional[Ask] = None) -> str:
    """The numactl on `path` (as $PATH) that prefers a NUMA node's memory; empty where there is none, or no need.

    It is tried first: containers often forbid it, and would end every rank. Without it memory still comes from the
    node of the core that touches it first, which is the same as long as that node has some.
    """
    several = sum(1 for node in topology.numa if node.memory) > 1
    nodes = [one.numa for one in bound if one.numa is not None]
    program = shutil.which("numactl", path=path) if several and nodes else None
    if program is None:
        return ""

    def run(argv: Sequence[str]) -> Optional[str]:
        return process.ask(argv, _PATIENCE)

    return program if (ask or run)([program, f"--preferred={nodes[0]}", "true"]) is not None else ""


def argv(words: Sequence[str], binding: Binding, numactl: str) -> Tuple[str, ...]:
    """The command of a rank, with the policy of its memory before it."""
    if not numactl or binding.numa is None:
        return tuple(words)
    return (numactl, f"--preferred={binding.numa}", "--", *words)
