"""AMD GPUs, by the files of the amdgpu and KFD drivers (docs.kernel.org/gpu/amdgpu): no tool is asked that may hang."""

from pathlib import Path
from typing import Dict, List, Mapping

from primus.node import devices
from primus.node.checks.files import below, number, text
from primus.node.checks.finding import FAIL, WARN, Notes
from primus.node.devices import Devices

_IDLE = 1 << 30  # bytes that an unused GPU may hold
_MIB = 1 << 20
_NONE = "none before the job begins"


def check(root: Path, found: Devices, environ: Mapping[str, str], notes: Notes) -> None:
    """Judge the GPUs that the job may use, by its names for them. `environ` is what they were found with."""
    here = zip(found.visible, devices.installed(found, environ, root))
    gpus = {name: gpu for name, gpu in here if gpu}
    cards: Dict[str, Path] = {}  # of a GPU in partitions the first: they are one card
    for name, gpu in gpus.items():
        card = root / "sys/bus/pci/devices" / gpu.address
        if gpu.address and card not in cards.values() and number(card / "mem_info_vram_total"):
            cards[name] = card
    for name, card in cards.items():
        _memory(f"gpu {name}", card, notes)
        _errors(f"gpu {name}", card, notes)
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    _processes(root, {name: text(nodes / gpu.node / "gpu_id") for name, gpu in gpus.items()}, notes)
    if gpus:
        ras = [card / "ras" for card in cards.values()]
        seen = bool(cards)
        notes.well("ecc", seen and all(below(one, "*_err_count") for one in ras), "no uncorrectable errors")
        notes.well("retired pages", seen and all((one / "gpu_vram_bad_pages").exists() for one in ras), "none")
        notes.well("foreign process", (root / "sys/class/kfd/kfd/proc").is_dir(), "none")
    firmware = sorted({text(card / "vbios_version") for card in cards.values()} - {""})
    if firmware:
        notes.same("gpu firmware", ", ".join(firmware), WARN, "flash one VBIOS on all nodes")


def _processes(root: Path, ids: Mapping[str, str], notes: Notes) -> None:
    """Those with memory on one of these GPUs (`vram_<gpu id>`): each has a file for all, whichever it uses."""
    mend = "end it, or find the job that left it behind"
    for path in below(root / "sys/class/kfd/kfd/proc"):
        held = {name: number(path / f"vram_{id}") or 0 for name, id in ids.items()}
        who = f"process {path.name} ({text(root / 'proc' / path.name / 'comm') or 'of another container'})"
        if not below(path, "vram_*"):  # a kernel before 5.8 does not say which
            notes.fail("foreign process", f"{who} uses a GPU", _NONE, mend)
        for name, size in held.items():
            if size:
                notes.fail(f"gpu {name} foreign process", f"{who} holds {size // _MIB} MiB", _NONE, mend)


def _memory(name: str, card: Path, notes: Notes) -> None:
    used, total = number(card / "mem_info_vram_used") or 0, number(card / "mem_info_vram_total") or 0
    seen = f"{used // _MIB} of {total // _MIB} MiB"
    if used > _IDLE:
        expected = f"at most {_IDLE // _MIB} MiB before the job begins"
        notes.fail(f"{name} memory in use", seen, expected, "end what uses it")
    else:
        notes.info(f"{name} memory in use", seen)


def _errors(name: str, card: Path, notes: Notes) -> None:
    """RAS counts of each block, `ue: 0` and `ce: 0`; bad pages, `0x1 : 0x1000 : R`: reserved (P pending, F failed)."""
    blocks: List[str] = []
    for path in below(card / "ras", "*_err_count"):
        counts: Dict[str, str] = dict(line.split(": ", 1) for line in text(path).splitlines() if ": " in line)
        if counts.get("ue", "0").strip() not in ("0", ""):
            blocks.append(f"{counts['ue'].strip()} in {path.name[: -len('_err_count')]}")
    if blocks:
        mend = "reset the GPU, and have it replaced when they come again"
        notes.fail(f"{name} ecc", f"uncorrectable errors: {', '.join(blocks)}", "0", mend)
    pages = [line.rsplit(":", 1)[-1].strip() for line in text(card / "ras/gpu_vram_bad_pages").splitlines()]
    if pages:
        level = WARN if set(pages) == {"R"} else FAIL
        seen = f"{len(pages)} retired" + ("" if level == WARN else ", not all of them yet")
        mend = "reload the driver or reboot; many of them: have the GPU replaced"
        (notes.warn if level == WARN else notes.fail)(f"{name} retired pages", seen, "none", mend)
