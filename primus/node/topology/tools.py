"""A node's topology with what the vendor's tools know of the links between its GPUs."""

from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node import process
from primus.node.checks.finding import Finding, Notes
from primus.node.topology import AREA, Gpu, Topology, smi, sysfs

_PATIENCE = 20.0  # seconds; with 8 GPUs and no persistence daemon nvidia-smi takes several
Ask = Callable[[Sequence[str]], Optional[str]]


def survey(root: Path = Path("/")) -> Topology:
    """What the kernel and the tools say. A tool that is missing, hangs or prints something else is a finding."""

    def ask(argv: Sequence[str]) -> Optional[str]:
        return process.ask(argv, _PATIENCE)

    return complete(sysfs.survey(root), ask)


def complete(topology: Topology, ask: Ask) -> Topology:
    """With the links between GPUs, which the vendor's tools know; `ask` gives what a command prints, None: nothing."""
    if not topology.gpus:
        return topology
    amd = topology.gpus[0].model.startswith("AMD")
    direct, findings = _amd(topology, ask) if amd else _nvidia(topology, ask)
    known = {(link.one, link.other): link.kind for link in topology.links if link.kind == "XGMI"}
    links = sysfs.joined(topology.gpus, topology.nics, len(topology.numa), {**known, **direct})
    return replace(topology, links=links, findings=(*topology.findings, *findings))


def _nvidia(topology: Topology, ask: Ask) -> Tuple[smi.Pairs, List[Finding]]:
    direct: smi.Pairs = {}
    notes = Notes(AREA)
    pairs = _read("nvidia-smi topo -m", ask, smi.nvidia_matrix, notes)
    if pairs is not None:
        shown = {name for pair in pairs for name in pair if name.startswith("GPU")} or {"GPU0"}
        if shown != {gpu.name for gpu in topology.gpus}:
            expected = f"{len(topology.gpus)}, as the driver's files have"
            mend = "give the job or container all GPUs of the node: the others' links are not told"
            notes.warn("nvidia-smi topo -m", f"{len(shown)} GPUs", expected, mend)
        else:
            direct = {pair: kind for pair, kind in pairs.items() if kind.startswith("NV")}
    links = _read("nvidia-smi nvlink -s", ask, smi.nvidia_links, notes)
    _of_links(links or {}, notes)
    return direct, notes.findings


def _of_links(links: Mapping[str, smi.NvLinks], notes: Notes) -> None:
    """GPUs whose NVLinks are down, or not those of the others."""
    mend = "nvidia-smi nvlink -s; reset the GPUs or the fabric manager, else have the board looked at"
    for gpu, of in links.items():
        if of.down and of.speeds:
            notes.warn(gpu, f"{of.down} NVLinks are down", "all of them up", mend)
    groups: Dict[Tuple[int, float], List[str]] = {}
    for gpu, of in links.items():
        groups.setdefault((len(of.speeds), sum(of.speeds)), []).append(gpu)
    if len(groups) > 1:
        words = (f"{', '.join(gpus)}: {n} of {total:g} GB/s" for (n, total), gpus in groups.items())
        notes.warn("NVLinks", "; ".join(words), "the same for all GPUs", mend)


def _amd(topology: Topology, ask: Ask) -> Tuple[smi.Pairs, List[Finding]]:
    if len(topology.gpus) < 2 or any(link.kind == "XGMI" for link in topology.links):
        return {}, []  # the kernel has said it
    notes = Notes(AREA)
    by_address = _read("amd-smi topology --json", ask, smi.amd_links, notes)
    if by_address is not None:
        names = {gpu.pci.address: gpu.name for gpu in topology.gpus}
        pairs = {(names.get(one, ""), names.get(other, "")): kind for (one, other), kind in by_address.items()}
        return _xgmi(pairs, topology.gpus), notes.findings
    by_name = _read("rocm-smi --showtopo --json", ask, smi.rocm_links, notes)
    return _xgmi(by_name or {}, topology.gpus), notes.findings


def _xgmi(pairs: smi.Pairs, gpus: Sequence[Gpu]) -> smi.Pairs:
    """Those of XGMI, in both orders, between GPUs that are there; the way over PCIe is told by the bus."""
    names = {gpu.name for gpu in gpus}
    there = {pair: kind for pair, kind in pairs.items() if kind == "XGMI" and set(pair) <= names}
    return {**{(other, one): kind for (one, other), kind in there.items()}, **there}


def _read(command: str, ask: Ask, parse: Callable[[str], smi.T], notes: Notes) -> Optional[smi.T]:
    """What a command says; a finding and None where it says nothing that can be read."""
    text = ask(command.split())
    if text is None:
        seen = f"missing, failed, or not done within {_PATIENCE:g} s"
        notes.warn(command, seen, "the links of the GPUs", "have the vendor's tools on PATH of the agent, and try them")
        return None
    try:
        return parse(text)
    except smi.Unread as error:
        notes.warn(command, f"cannot be read: {error}", "the tool's own format", "run it; another version may differ")
        return None
