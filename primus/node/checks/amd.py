"""AMD GPUs, by the files of the amdgpu and KFD drivers (docs.kernel.org/gpu/amdgpu): no tool is asked that may hang."""

from pathlib import Path
from typing import Dict, List

from primus.node.checks.files import below, number, text
from primus.node.checks.finding import FAIL, WARN, Notes

_IDLE = 1 << 30  # bytes that an unused GPU may hold
_MIB = 1 << 20


def check(root: Path, notes: Notes) -> None:
    """Judge every GPU of the node's."""
    cards = [card / "device" for card in below(root / "sys/class/drm", "card[0-9]*")]
    cards = [card for card in cards if text(card / "vendor") == "0x1002" and number(card / "mem_info_vram_total")]
    for index, card in enumerate(cards):
        _memory(f"gpu {index}", card, notes)
        _errors(f"gpu {index}", card, notes)
    for pid in [path.name for path in below(root / "sys/class/kfd/kfd/proc")]:
        command = text(root / "proc" / pid / "comm") or "of another container"
        mend = "end it, or find the job that left it behind"
        notes.fail("foreign process", f"process {pid} ({command}) uses a GPU", "none before the job begins", mend)
    if cards:
        ras = [card / "ras" for card in cards]
        notes.well("ecc", all(below(one, "*_err_count") for one in ras), "no uncorrectable errors")
        notes.well("retired pages", all((one / "gpu_vram_bad_pages").exists() for one in ras), "none")
        notes.well("foreign process", (root / "sys/class/kfd/kfd/proc").is_dir(), "none")
    firmware = sorted({text(card / "vbios_version") for card in cards} - {""})
    if firmware:
        notes.same("gpu firmware", ", ".join(firmware), WARN, "flash one VBIOS on all nodes")


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
