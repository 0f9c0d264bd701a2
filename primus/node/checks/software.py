"""The ranks' interpreter: what it can import, its versions, a product on each device; and the container engine."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, Optional

from primus.node import devices, process
from primus.node.checks.finding import FAIL, WARN, Notes, Settings
from primus.node.digits import whole

_RANK = Path(__file__).resolve().parents[2] / "rank"
_PATIENCE = 5.0  # seconds for a container engine to say its version
# Least driver for each CUDA major version: docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility.
_DRIVERS = {"11": (450, 80, 2), "12": (525, 60, 13), "13": (580, 65, 6)}


class Probe:
    """That interpreter at work beside the other checks; it may hang, and is killed then."""

    def __init__(self, settings: Settings, run_dir: str) -> None:
        self._settings = settings
        self._wrong: Optional[str] = None
        self._process: Any = None
        self._began = time.monotonic()
        if settings.python:
            argv = [settings.python, str(_RANK), "preflight", str(Path(run_dir) / "preflight.json")]
            try:
                self._process = process.start(argv, stdout=process.PIPE, stderr=process.PIPE, die_with_parent=True)
            except OSError as error:
                self._wrong = f"{settings.python}: {error.strerror}"

    def finish(self, seconds: float) -> "tuple[Optional[Dict[str, Any]], str]":
        """What it told, or None and why not."""
        if self._process is None:
            return None, self._wrong or ""
        code, out, err = process.collect(self._process, seconds)
        try:
            told = json.loads(out.splitlines()[-1])
            return (told if isinstance(told, dict) else None), ""
        except (ValueError, IndexError):
            took = time.monotonic() - self._began
            words = [line for line in err.splitlines() if line.strip()]
            how = f"no answer in {took:.0f} s" if code == process.TOO_LATE else f"exit code {code}"
            return None, f"{how}: {words[-1] if words else 'it said nothing'}"


def check(settings: Settings, told: Optional[Dict[str, Any]], why: str) -> "tuple[Notes, Notes]":
    """What the probe told, as findings of the software and of the GPUs."""
    software, gpu = Notes("software"), Notes("gpu")
    _engine(settings, software)
    if settings.python is None:
        return software, gpu
    if told is None:
        mend = f"run it there: {settings.python} -c 'import {', '.join(settings.modules)}'; or primus task=setup"
        software.fail("interpreter", why, "an answer", mend)
        return software, gpu
    software.same("python", told.get("python"), WARN, "use one image or environment on all nodes")
    for module, version in sorted(told.get("modules", {}).items()):
        if version.startswith("!"):
            software.fail(module, version[1:], f"{settings.python} imports it", "primus task=setup, or mend the image")
        else:
            software.info(module, version)
        software.same(module, version.lstrip("!"), FAIL, "use one image or environment on all nodes")
    _driver(settings, told, software)
    _products(told, gpu)
    return software, gpu


def _engine(settings: Settings, notes: Notes) -> None:
    if settings.engine:
        program = {"pyxis": "enroot"}.get(settings.engine, settings.engine)
        asked = [program, "--version" if program != "enroot" else "version"]
        version = process.ask(asked, _PATIENCE)
        if version and version.strip():
            notes.info("container engine", version.strip().splitlines()[0])
        elif shutil.which(program):
            seen = f"{program} is there, and fails or does not answer in {_PATIENCE:.0f} s"
            notes.warn("container engine", seen, "its version", f"run it there and see what it says: {' '.join(asked)}")
        else:
            notes.info("container engine", f"{settings.engine}, not seen from inside")


def _driver(settings: Settings, told: Dict[str, Any], notes: Notes) -> None:
    """The driver of this node against the CUDA or ROCm that the framework was built for."""
    found = devices.detect(settings.gpu, os.environ)
    if not found.count or "framework" not in told:
        return
    cuda, hip = told.get("cuda"), told.get("hip")
    built = f"built for {f'CUDA {cuda}' if cuda else f'ROCm {hip}' if hip else 'the CPU'}"
    if (found.vendor == "nvidia" and not cuda) or (found.vendor == "amd" and not hip):
        notes.fail(told["framework"], built, f"built for {found.model}", "install the build for these GPUs")
        return
    least = _DRIVERS.get(str(cuda).split(".")[0]) if cuda else None
    driver = tuple(int(part) for part in found.driver.split(".") if whole(part))
    if least and driver and driver < least:
        right = ".".join(map(str, least))
        mend = "update the driver, or take a build of the framework for an older CUDA"
        notes.fail("driver", f"{found.driver}, {told['framework']} is {built}", f"{right} or newer", mend)
    elif not told.get("devices"):
        mend = "look at what it says: python -c 'import torch; torch.cuda.init()'"
        notes.fail(told["framework"], "it sees no GPU", f"{found.count} x {found.model}", mend)
    else:
        notes.info("driver", f"{found.driver or 'unknown'}, {told['framework']} is {built}")


def _products(told: Dict[str, Any], notes: Notes) -> None:
    for product in told.get("products", ()):
        name = f"{product['device']} product"
        if product.get("error") is None:
            mend = "dmesg names the fault (Xid, amdgpu); reset the GPU or drain the node"
            notes.fail(name, product.get("why", "no result"), "a result", mend)
        elif product["error"] > product["limit"]:
            seen = f"off by {product['error']:.1e} of its largest element"
            notes.fail(name, seen, f"at most {product['limit']:.0e}", "the GPU computes wrongly: drain the node")
        else:
            notes.info(name, f"as the CPU's, within {product['error']:.1e}")
