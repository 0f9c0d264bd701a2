"""A node's topology as a drawing: a box for each NUMA node, its GPUs and adapters, and what joins them. Pure."""

from collections.abc import Sequence
from html import escape

from primus.node.topology import DISTANCES, Gpu, Nic, Numa, Topology
from primus.node.topology.sysfs import short

# Pixels.
_CELL, _BOX, _HIGH, _PAD = 112, 100, 40, 14
_BAR, _TOP = 16, 58  # the bar that joins all GPUs, where the boxes begin
_GPUS, _NICS = 16, 100  # rows within a box
_TALL, _SHORT = 170, 86  # a box with adapters, and without


def picture(topology: Topology) -> str:
    """The drawing as an element of SVG; its colours are those of the page."""
    drawn: list[str] = []
    places: dict[str, tuple[int, int]] = {}
    x = _PAD
    rows = [(node, *_devices(topology, node)) for node in topology.numa]
    for node, gpus, nics in rows:
        width = max(len(gpus), len(nics), 2) * _CELL + _PAD
        drawn.append(_numa(node, x, width, _TALL if topology.nics else _SHORT))
        places |= {gpu.name: (x + _PAD + n * _CELL, _TOP + _GPUS) for n, gpu in enumerate(gpus)}
        places |= {nic.name: (x + _PAD + n * _CELL, _TOP + _NICS) for n, nic in enumerate(nics)}
        x += width + _PAD
    lines = [*_direct(topology, places), *_near(topology, places)]
    boxes = [_device(gpu, *places[gpu.name]) for gpu in topology.gpus]
    boxes += [_device(nic, *places[nic.name]) for nic in topology.nics]
    high = _TOP + (_TALL if topology.nics else _SHORT) + _PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{x}" height="{high}" viewBox="0 0 {x} {high}" role="img" '
        f'aria-label="{escape(_said(topology))}">{"".join([*drawn, *lines, *boxes])}</svg>'
    )


def _devices(topology: Topology, node: Numa) -> tuple[list[Gpu], list[Nic]]:
    """What is at a NUMA node; what is nobody knows where is drawn at the first."""
    first = topology.numa[0].number
    known = {one.number for one in topology.numa}

    def here(numa: int | None) -> bool:
        return (numa if numa in known else first) == node.number

    return [gpu for gpu in topology.gpus if here(gpu.pci.numa)], [nic for nic in topology.nics if here(nic.pci.numa)]


def _numa(node: Numa, x: int, width: int, high: int) -> str:
    cores = short(node.cores) or "none"
    label = f"NUMA {node.number} · cores {cores} · {node.memory / 2**30:.0f} GiB"
    return (
        f'<rect class="around" x="{x}" y="{_TOP}" width="{width}" height="{high}" rx="8"/>'
        f'<text class="quiet" x="{x + _PAD}" y="{_TOP + high - 10}">{escape(label)}</text>'
    )


def _device(device: Gpu | Nic, x: int, y: int) -> str:
    if isinstance(device, Gpu):
        kind, detail, title = "gpu", device.pci.address, device.model
    else:
        kind = "nic" if device.up else "nic down"
        detail, title = device.rate.split(" (")[0] or device.kind, f"{device.kind} {device.pci.address} {device.rate}"
    return (
        f"<g><title>{escape(title)}</title>"
        f'<rect class="{kind}" x="{x}" y="{y}" width="{_BOX}" height="{_HIGH}" rx="6"/>'
        f'<text x="{x + 8}" y="{y + 17}">{escape(device.name)}</text>'
        f'<text class="quiet" x="{x + 8}" y="{y + 32}">{escape(detail)}</text></g>'
    )


def _direct(topology: Topology, places: dict[str, tuple[int, int]]) -> list[str]:
    """Links of GPUs that do not go over PCIe: a bar where any two have the same, else an arc each."""
    links = [one for one in topology.links if one.other.startswith("GPU") and one.kind not in DISTANCES]
    gpus = len(topology.gpus)
    if not links:
        return []
    kinds = {link.kind for link in links}
    middles = {gpu.name: places[gpu.name][0] + _BOX // 2 for gpu in topology.gpus}
    top = _TOP + _GPUS
    if len(kinds) == 1 and len(links) == gpus * (gpus - 1) // 2:
        left, right = min(middles.values()), max(middles.values())
        down = [f'<line class="direct" x1="{x}" y1="{_BAR + 12}" x2="{x}" y2="{top}"/>' for x in middles.values()]
        label = f"{kinds.pop()} between any two GPUs"
        return [
            f'<line class="direct" x1="{left}" y1="{_BAR + 12}" x2="{right}" y2="{_BAR + 12}"/>',
            *down,
            f'<text x="{left}" y="{_BAR}">{escape(label)}</text>',
        ]
    return [_arc(middles[one.one], middles[one.other], top, f"{one.one} {one.other}: {one.kind}") for one in links]


def _arc(left: int, right: int, y: int, title: str) -> str:
    high = max(4, y - 24 - abs(right - left) // 16)
    return (
        f'<path class="direct" d="M{left} {y} C{left} {high} {right} {high} {right} {y}">'
        f"<title>{escape(title)}</title></path>"
    )


def _near(topology: Topology, places: dict[str, tuple[int, int]]) -> list[str]:
    """A line from each GPU to the adapters below the same PCIe switch; farther ones are in the matrix."""
    near: Sequence[str] = ("PIX", "PXB")
    adapters = {nic.name for nic in topology.nics}
    found = []
    for link in topology.links:
        if link.other in adapters and link.kind in near:
            (x1, y1), (x2, y2) = places[link.one], places[link.other]
            middle = _BOX // 2
            found.append(
                f'<line x1="{x1 + middle}" y1="{y1 + _HIGH}" x2="{x2 + middle}" y2="{y2}">'
                f"<title>{escape(f'{link.one} {link.other}: {link.kind}')}</title></line>"
            )
    return found


def _said(topology: Topology) -> str:
    return f"{len(topology.numa)} NUMA nodes, {len(topology.gpus)} GPUs, {len(topology.nics)} network adapters"
