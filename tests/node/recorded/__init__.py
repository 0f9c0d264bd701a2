"""What a real node said: two H200s of a virtual machine, driver 580.159.04, recorded on 21 November 2026.

`h200/` has what nvidia-smi printed to the questions that Primus asks, byte for byte, and the kernel's files that it
reads: those of each device on the bus in pci.txt, others in files.txt (of cpuinfo the first processor, of meminfo a few
lines). The total of the NUMA node's meminfo and the list of cores online are as Primus read them there.
"""

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "h200"
_AS = "--format=csv,noheader,nounits"
# The command line of nvidia-smi, and what it printed.
_ASKED = {
    "--query-gpu=index,uuid,name,vbios_version,memory.used,memory.total,ecc.errors.uncorrected.volatile.total,"
    "retired_pages.pending,clocks_throttle_reasons.active,temperature.gpu "
    f"{_AS}": "query-gpu.csv",
    "--query-remapped-rows=gpu_uuid,remapped_rows.uncorrectable,remapped_rows.pending,remapped_rows.failure "
    f"{_AS}": "query-remapped-rows.csv",
    f"--query-compute-apps=gpu_uuid,pid,process_name,used_memory {_AS}": "query-compute-apps.csv",
    "topo -m": "topo-m.txt",
    "nvlink -s": "nvlink-s.txt",
}


def text(name: str) -> str:
    """One of the files."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def nvidia_smi(folder: Path) -> Path:
    """A program that answers as that machine's nvidia-smi did, and fails at any other question."""
    cases = "".join(f'"{asked}") exec cat "{_FOLDER / name}" ;;\n' for asked, name in _ASKED.items())
    program = folder / "nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) exit 2 ;;\nesac\n')
    program.chmod(0o755)
    return program


def tree(root: Path) -> Path:
    """The kernel's files and links of that machine, below `root`."""
    for path, told in _parts("files.txt"):
        _write(root, path, told)
    for heading, told in _parts("pci.txt"):
        link, where = heading.split()
        for line in told.splitlines():
            name, _, value = line.partition(": ")
            _write(root, f"{where}/{name}", f"{value}\n")
        _link(root, link, where)
    card = "/sys/devices/pci0000:00/0000:00:03.0/virtio2"
    for name, where in (("eth0", f"{card}/net/eth0"), ("lo", "/sys/devices/virtual/net/lo")):
        (root / where[1:]).mkdir(parents=True)
        _link(root, f"/sys/class/net/{name}", where)
    _link(root, f"{card}/net/eth0/device", card)
    (root / "sys/class/infiniband").mkdir(parents=True)
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        _write(root, f"/dev/{name}", "")
    return root


def _parts(name: str) -> list[tuple[str, str]]:
    """Below each line that begins with `==`, what it heads."""
    found = re.split(r"^== (.*)\n", text(name), flags=re.MULTILINE)
    return list(zip(found[1::2], found[2::2], strict=True))


def _write(root: Path, path: str, told: str) -> None:
    (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / path.lstrip("/")).write_text(told, encoding="utf-8")


def _link(root: Path, path: str, to: str) -> None:
    (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / path.lstrip("/")).symlink_to(root / to.lstrip("/"))
