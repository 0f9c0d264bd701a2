"""NVIDIA GPUs, by nvidia-smi: what it says is read here, and may be broken or not come at all."""

import math
import time
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence

from primus.node import process
from primus.node.checks.finding import WARN, Notes
from primus.node.devices import Devices

_SECONDS = 10.0  # the first question may load the driver, where persistence mode is off
_IDLE = 1024  # MiB that an unused GPU may hold: its page tables and firmware
_GPU = (
    *("index", "uuid", "name", "vbios_version", "memory.used", "memory.total", "ecc.errors.uncorrected.volatile.total"),
    *("retired_pages.pending", "clocks_throttle_reasons.active", "temperature.gpu"),
)
_ECC, _THROTTLED = "ecc.errors.uncorrected.volatile.total", "clocks_throttle_reasons.active"
_ROWS = ("gpu_uuid", "remapped_rows.uncorrectable", "remapped_rows.pending", "remapped_rows.failure")
_APPS = ("gpu_uuid", "pid", "process_name", "used_memory")
# nvmlClocksThrottleReasons of nvml.h: those that speak of trouble.
_THROTTLES = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}

_UNSUPPORTED = ("[N/A]", "[Not Supported]")  # as of memory that a GPU has in common with the CPU
_LOST = "reset it or reboot the node, and have it replaced when it comes again (dmesg: Xid)"


@dataclass(frozen=True)
class Answers:
    """What nvidia-smi printed to each question; None: it is missing, failed, or took too long. `seconds` it took."""

    gpus: Optional[str]
    rows: Optional[str]
    apps: Optional[str]
    seconds: float


def ask(environ: Mapping[str, str]) -> Answers:
    """Ask it; once it does not answer it is not asked again."""
    began = time.monotonic()
    gpus = _ask("--query-gpu", _GPU, environ)
    rows = _ask("--query-remapped-rows", _ROWS, environ) if gpus else None
    apps = _ask("--query-compute-apps", _APPS, environ) if gpus else None
    return Answers(gpus, rows, apps, time.monotonic() - began)


def _ask(question: str, columns: "tuple[str, ...]", environ: Mapping[str, str]) -> Optional[str]:
    argv = ["nvidia-smi", f"{question}={','.join(columns)}", "--format=csv,noheader,nounits"]
    return process.ask(argv, _SECONDS, env=environ)


def check(answers: Answers, found: Devices, notes: Notes) -> None:
    """Judge the GPUs that the job may use."""
    if answers.gpus is None:
        if answers.seconds >= _SECONDS:
            mend = "reboot the node: a GPU or its driver hangs (dmesg)"
            notes.fail("nvidia-smi", f"no answer in {_SECONDS:.0f} s", "an answer", mend)
        else:
            notes.warn("nvidia-smi", "it is missing, or fails", "an answer", "run it there and see what it says")
        return
    every = _table(answers.gpus, _GPU)
    table = [row for row in every if any(_is(row, name) for name in found.visible)]
    if not table:
        said = " ".join(answers.gpus.split())[:100]
        notes.warn("nvidia-smi", said or "nothing", "a line for each GPU", "run nvidia-smi there and see what it says")
    lost = [name for name in found.visible if not name.startswith("MIG-") and not any(_is(row, name) for row in table)]
    odd = [line.strip() for line in answers.gpus.splitlines() if len(line.split(",")) != len(_GPU)]
    for name in lost if every else ():
        notes.fail(f"gpu {name} lost", " ".join(odd)[:100] or "nvidia-smi leaves it out", "a line for each GPU", _LOST)
    for row in table:
        _one(row, notes)
    names = {row["uuid"]: f"gpu {row['index']}" for row in table}
    for row in _table(answers.rows or "", _ROWS):
        if row["gpu_uuid"] in names:
            _remapped(names[row["gpu_uuid"]], row, notes)
    for row in _apps(answers.apps or ""):
        if row["gpu_uuid"] in names:
            seen = f"process {row['pid']} ({row['process_name']}) holds {row['used_memory']} MiB"
            mend = "end it, or find the job that left it behind"
            notes.fail(f"{names[row['gpu_uuid']]} foreign process", seen, "none before the job begins", mend)
    if table:
        _all_well(table, answers, notes, seen=not lost)
    firmware = sorted({row["vbios_version"] for row in table})
    if firmware:
        notes.same("gpu firmware", ", ".join(firmware), WARN, "flash one VBIOS on all nodes")


def _one(row: Mapping[str, str], notes: Notes) -> None:
    name = f"gpu {row['index']}"
    used = _number(row["memory.used"])
    seen = f"{row['memory.used']} of {row['memory.total']} MiB"
    if used is None and row["memory.used"] not in _UNSUPPORTED:
        notes.fail(f"{name} lost", f"memory in use: {row['memory.used']}", "a number", _LOST)
    elif used is not None and used > _IDLE:
        mend = "end what uses it; where no process is shown, nvidia-smi --gpu-reset"
        notes.fail(f"{name} memory in use", seen, f"at most {_IDLE} MiB before the job begins", mend)
    else:
        notes.info(f"{name} memory in use", seen)
    errors = _number(row[_ECC])
    if errors:
        mend = "reset the GPU (nvidia-smi --gpu-reset), and have it replaced when they come again"
        notes.fail(f"{name} ecc", f"{errors:.0f} uncorrectable errors since its last reset", "0", mend)
    if row["retired_pages.pending"] == "Yes":
        notes.fail(f"{name} retired pages", "pending", "none", "reset the GPU: bad pages are retired then")
    bits = _number(row[_THROTTLED])
    reasons = [why for bit, why in _THROTTLES.items() if bits is not None and int(bits) & bit]
    if reasons:
        seen = f"{', '.join(reasons)} at {row['temperature.gpu']} C"
        notes.warn(f"{name} throttled", seen, "not throttled", "check the node's cooling and power supplies")


def _all_well(table: Sequence[Mapping[str, str]], answers: Answers, notes: Notes, *, seen: bool) -> None:
    """`seen`: every GPU has its line."""
    remapped = {row["gpu_uuid"] for row in _table(answers.rows or "", _ROWS)}
    degrees = [value for row in table if (value := _number(row["temperature.gpu"])) is not None]
    heat = f", at most {max(degrees):.0f} C" if degrees else ""
    counted, told = (seen and all(_number(row[column]) is not None for row in table) for column in (_ECC, _THROTTLED))
    notes.well("ecc", counted, "no uncorrectable errors since the last reset")
    rows = seen and {row["uuid"] for row in table} <= remapped
    notes.well("row remapping", rows, "none pending, none failed")
    notes.well("throttled", told, f"none{heat}")
    notes.well("foreign process", seen and answers.apps is not None, "none")


def _remapped(name: str, row: Mapping[str, str], notes: Notes) -> None:
    if row["remapped_rows.failure"] in ("1", "Yes"):
        notes.fail(f"{name} row remapping", "failed", "no failure", "have the GPU replaced: no spare rows are left")
    elif row["remapped_rows.pending"] in ("1", "Yes"):
        notes.fail(f"{name} row remapping", "pending", "none", "reset the GPU: bad rows are remapped then")
    elif _number(row["remapped_rows.uncorrectable"]):
        notes.info(f"{name} row remapping", f"{row['remapped_rows.uncorrectable']} rows for uncorrectable errors")


def _table(text: str, columns: "tuple[str, ...]") -> List[Dict[str, str]]:
    """The lines that have as many values as were asked for."""
    lines = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    return [dict(zip(columns, values)) for values in lines if len(values) == len(columns)]


def _apps(text: str) -> List[Dict[str, str]]:
    """Processes; the name of one may hold commas itself."""
    lines = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    split = ([*values[:2], ", ".join(values[2:-1]), values[-1]] for values in lines if len(values) >= len(_APPS))
    return [dict(zip(_APPS, values)) for values in split]


def _is(row: Mapping[str, str], name: str) -> bool:
    """Whether a GPU is what a visibility variable names so: its index, its UUID or how that begins."""
    return row["index"] == name or (len(name) > 4 and row["uuid"].startswith(name))


def _number(text: str) -> Optional[float]:
    """`[N/A]` and the like: None."""
    try:
        found = float(int(text, 16)) if text.startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
