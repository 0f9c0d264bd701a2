"""A node's topology with what the vendor's tools know of the links between its GPUs."""

from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node import process
from primus.node.topology import Gpu, Topology, smi, sysfs

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


def _nvidia(topology: Topology, ask: Ask) -> Tuple[smi.Pairs, List[str]]:
    direct: smi.Pairs = {}
    findings: List[str] = []
    pairs = _read("nvidia-smi topo -m", ask, smi.nvidia_matrix, findings)
    if pairs is not None:
        shown = {name for pair in pairs for name in pair if name.startswith("GPU")} or {"GPU0"}
        if shown != {gpu.name for gpu in topology.gpus}:
            findings.append(f"nvidia-smi topo -m shows {len(shown)} GPUs, the driver's files {len(topology.gpus)}")
        else:
            direct = {pair: kind for pair, kind in pairs.items() if kind.startswith("NV")}
    links = _read("nvidia-smi nvlink -s", ask, smi.nvidia_links, findings)
    findings += _of_links(links or {})
    return direct, findings


def _of_links(links: Mapping[str, smi.NvLinks]) -> List[str]:
    """GPUs whose NVLinks are down, or not those of the others."""
    found = [f"{gpu} has {of.down} NVLinks that are down" for gpu, of in links.items() if of.down and of.speeds]
    groups: Dict[Tuple[int, float], List[str]] = {}
    for gpu, of in links.items():
        groups.setdefault((len(of.speeds), sum(of.speeds)), []).append(gpu)
    if len(groups) > 1:
        words = (f"{', '.join(gpus)}: {n} of {total:g} GB/s" for (n, total), gpus in groups.items())
        found.append(f"the GPUs have not the same NVLinks: {'; '.join(words)}")
    return found


def _amd(topology: Topology, ask: Ask) -> Tuple[smi.Pairs, List[str]]:
    if len(topology.gpus) < 2 or any(link.kind == "XGMI" for link in topology.links):
        return {}, []  # the kernel has said it
    findings: List[str] = []
    by_address = _read("amd-smi topology --json", ask, smi.amd_links, findings)
    if by_address is not None:
        names = {gpu.pci.address: gpu.name for gpu in topology.gpus}
        pairs = {(names.get(one, ""), names.get(other, "")): kind for (one, other), kind in by_address.items()}
        return _xgmi(pairs, topology.gpus), findings
    by_name = _read("rocm-smi --showtopo --json", ask, smi.rocm_links, findings)
    return _xgmi(by_name or {}, topology.gpus), findings


def _xgmi(pairs: smi.Pairs, gpus: Sequence[Gpu]) -> smi.Pairs:
    """Those of XGMI, in both orders, between GPUs that are there; the way over PCIe is told by the bus."""
    names = {gpu.name for gpu in gpus}
    there = {pair: kind for pair, kind in pairs.items() if kind == "XGMI" and set(pair) <= names}
    return {**{(other, one): kind for (one, other), kind in there.items()}, **there}


def _read(command: str, ask: Ask, parse: Callable[[str], smi.T], findings: List[str]) -> Optional[smi.T]:
    """What a command says; a finding and None where it says nothing that can be read."""
    text = ask(command.split())
    if text is None:
        findings.append(f"{command}: missing, failed, or not done within {_PATIENCE:g} s")
        return None
    try:
        return parse(text)
    except smi.Unread as error:
        findings.append(f"{command}: cannot be read: {error}")
        return None
