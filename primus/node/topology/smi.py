"""What nvidia-smi, rocm-smi and amd-smi print about links, as data. Pure; raises Unread for what is none of it."""

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Tuple, TypeVar

T = TypeVar("T")
Pairs = Dict[Tuple[str, str], str]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # nvidia-smi underlines its head, to a pipe too
_DEVICE = re.compile(r"(?:GPU|NIC)\d+|mlx\w+")
_KIND = re.compile(r"X|NV\d+|PIX|PXB|PHB|NODE|SYS")


class Unread(ValueError):
    """The output is not what its tool prints."""


@dataclass(frozen=True)
class NvLinks:
    """The NVLinks of a GPU that are up, in GB/s one way each, and how many are there but down."""

    speeds: Tuple[float, ...]
    down: int


def nvidia_matrix(text: str) -> Pairs:
    """`nvidia-smi topo -m`: NV18, PIX, ... by the names of both devices: GPU0, and of adapters those of the system.

    Columns are told by their head; those after the devices (affinities) are left out. The legend gives the names of
    NIC0, NIC1, ...; older drivers write the names themselves.
    """
    lines = _ESCAPES.sub("", text).splitlines()
    head = next((n for n, line in enumerate(lines) if re.match(r"\s*GPU0\b", line)), None)
    if head is None:
        raise Unread("no line of nvidia-smi topo -m begins with GPU0")
    columns = [word for word in lines[head].split() if _DEVICE.fullmatch(word)]
    names = dict(re.findall(r"^\s+(NIC\d+):\s+(\S+)\s*$", "\n".join(lines[head:]), flags=re.MULTILINE))
    found: Pairs = {}
    for line in lines[head + 1 :]:
        row, *cells = line.split()[: len(columns) + 1] or [""]
        if row not in columns:
            break
        if len(cells) < len(columns) or not all(_KIND.fullmatch(cell) for cell in cells):
            raise Unread(f"the line of {row} in nvidia-smi topo -m has no link for each of {', '.join(columns)}")
        for column, cell in zip(columns, cells):
            if cell != "X":
                found[names.get(row, row), names.get(column, column)] = cell
    if len(columns) > 1 and not found:
        raise Unread("nvidia-smi topo -m has a head and no lines")
    return found


def nvidia_links(text: str) -> Dict[str, NvLinks]:
    """`nvidia-smi nvlink -s`: the links of each GPU, by its name; GPUs without NVLink have none."""
    speeds: Dict[str, List[float]] = {}
    down: Dict[str, int] = {}
    gpu = ""
    for line in text.splitlines():
        of = re.match(r"GPU (\d+):", line)
        if of:
            gpu = f"GPU{of.group(1)}"
            speeds[gpu], down[gpu] = [], 0
        link = re.match(r"\s+Link \d+: (?:([0-9]+(?:\.[0-9]+)?) GB/s|<?(inactive)>?)", line, flags=re.IGNORECASE)
        if link and gpu:
            if link.group(1):
                speeds[gpu].append(float(link.group(1)))
            else:
                down[gpu] += 1
    if not speeds:
        raise Unread("nvidia-smi nvlink -s names no GPU")
    return {name: NvLinks(tuple(of), down[name]) for name, of in speeds.items()}


def rocm_links(text: str) -> Pairs:
    """`rocm-smi --showtopo --json`: XGMI or PCIE by the names of both GPUs; it has each pair once."""
    system = _json(text, "rocm-smi --showtopo --json")
    system = system.get("system") if isinstance(system, Mapping) else None
    if not isinstance(system, Mapping):
        raise Unread("rocm-smi --showtopo --json has no `system`")
    found: Pairs = {}
    for key, value in system.items():
        pair = re.fullmatch(r"\(Topology\) Link type between DRM devices (\d+) and (\d+)", key)
        if pair:
            found[f"GPU{pair.group(1)}", f"GPU{pair.group(2)}"] = str(value)
    return found


def amd_links(text: str) -> Pairs:
    """`amd-smi topology --json`: XGMI or PCIE by the PCI addresses of both GPUs.

    A list, as amd-smi's change log of ROCm 6.1.1 has it (before that there were no addresses), or the same below a
    name, as `amd-smi static` and `metric` have theirs since ({"gpu_data": [...]}).
    """
    data = _json(text, "amd-smi topology --json")
    if isinstance(data, Mapping):
        data = next((value for value in data.values() if isinstance(value, list)), None)
    if not isinstance(data, list):
        raise Unread("amd-smi topology --json is no list of GPUs")
    found: Pairs = {}
    try:
        for gpu in data:
            for link in gpu["links"]:
                if link["link_type"] != "SELF":
                    found[str(gpu["bdf"]).lower(), str(link["bdf"]).lower()] = str(link["link_type"])
    except (KeyError, TypeError) as error:
        raise Unread(
            f"amd-smi topology --json has no links by address ({error!r}): it is of ROCm before 6.1.1"
        ) from None
    return found


def _json(text: str, tool: str) -> Any:
    """The JSON in what a tool printed: warnings may stand before it."""
    begins = [place for place in (text.find("{"), text.find("[\n"), text.find("[{")) if place >= 0]
    try:
        return json.loads(text[min(begins) :] if begins else text)
    except (ValueError, RecursionError) as error:
        raise Unread(f"{tool} prints no JSON: {error}") from None
