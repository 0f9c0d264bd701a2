"""A topology as people read it: the matrix of all devices, in the manner of nvidia-smi."""

from typing import List, Union

from primus.node.topology import Gpu, Nic, Topology, distance
from primus.node.topology.sysfs import short

LEGEND = (
    "NV# so many NVLinks · XGMI Infinity Fabric · PIX one PCIe bridge or switch · PXB several\n"
    "PHB the host bridge · NODE within a NUMA node · SYS between NUMA nodes"
)


def table(topology: Topology) -> List[List[str]]:
    """Head and lines: the GPUs against GPUs and adapters, with NUMA node, cores and PCI address of each."""
    between = topology.between()
    devices: List[Union[Gpu, Nic]] = [*topology.gpus, *topology.nics]
    cores = {node.number: short(node.cores) for node in topology.numa}
    unknown = topology.numa[0].number if len(topology.numa) == 1 else -1  # as the kernel says it
    lines = [["", *(device.name for device in devices), "NUMA", "cores", "PCI"]]
    for device in devices:
        cells = [
            between.get((device.name, other.name)) or distance(device.pci, other.pci, len(topology.numa))
            for other in devices
        ]
        cells[devices.index(device)] = "X"
        near = device.pci.numa if device.pci.numa is not None else unknown
        lines.append([device.name, *cells, str(near), cores.get(near, ""), device.pci.address])
    return lines


def text(topology: Topology) -> str:
    """The table in columns; without GPUs and adapters, the NUMA nodes."""
    if not topology.gpus and not topology.nics:
        rows = [["NUMA", "cores", "memory"]]
        rows += [[str(n.number), short(n.cores), f"{n.memory / 2**30:.0f} GiB"] for n in topology.numa]
    else:
        rows = table(topology)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
