"""The accelerators: how many, what they are, their memory, errors, throttling, and who else uses them."""

import os
from pathlib import Path
from typing import Mapping

from primus.node import devices
from primus.node.checks import amd, nvidia
from primus.node.checks.finding import FAIL, WARN, Notes, Settings


def check(settings: Settings, environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Notes:
    """All of it, by the drivers' files under `root` and by nvidia-smi."""
    notes = Notes("gpu")
    found = devices.detect(settings.gpu, environ, root)
    _count(settings, found, notes)
    if found.vendor == "nvidia":
        nvidia.check(nvidia.ask(environ), found, notes)
    elif found.vendor == "amd":
        amd.check(root, found, environ, notes)
    return notes


def _count(settings: Settings, found: devices.Devices, notes: Notes) -> None:
    seen = f"{found.count} x {found.model}" if found.count else "none"
    expected = settings.gpus
    mend = f"look for a GPU that has fallen off the bus (dmesg: Xid 79, amdgpu), and at {', '.join(devices.VISIBILITY)}"
    if expected is None and settings.gpu not in ("auto", "cpu"):
        expected = max(1, found.count)
    if expected is not None and found.count != expected and settings.gpu != "cpu":
        notes.fail("count", seen, f"{expected}", mend)
    elif found.count and settings.gpu_models and not _right(found, settings):
        notes.warn("model", seen, f"gpu={settings.gpu}", "choose the profile of these GPUs, or gpu=auto")
    else:
        notes.info("count", seen)
    notes.same("gpus", seen, FAIL, mend)
    if found.driver:
        notes.same("driver", found.driver, WARN, "install one driver on all nodes")


def _right(found: devices.Devices, settings: Settings) -> bool:
    return all(devices.is_one_of(model, settings.gpu_models) for model in found.model.split(", "))
