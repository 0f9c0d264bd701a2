"""The clock of a processor at this moment, from drivers and their files: nothing is started. MHz; None: not known."""

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Any

_SM = 1  # NVML_CLOCK_SM (nvml.h)
_ROOT = Path("/")


def of_gpu(address: str, root: Path = _ROOT) -> float | None:
    """Of the GPU at a PCI address such as 0000:1b:00.0: NVIDIA's by NVML, AMD's by what its driver says in sysfs."""
    levels = root / "sys/bus/pci/devices" / address.lower() / "pp_dpm_sclk"
    try:
        return of_levels(levels.read_text(encoding="utf-8"))
    except OSError:
        return _nvidia(address)


def of_levels(text: str) -> float | None:
    """The level with a star of amdgpu's pp_dpm_sclk: `1: 2100Mhz *`.

    https://docs.kernel.org/gpu/amdgpu/thermal.html#pp-dpm
    """
    found = re.search(r"^\S+:\s*(\d+)\s*mhz\s*\*", text, re.IGNORECASE | re.MULTILINE)
    return float(found[1]) if found else None


def of_cpu(root: Path = _ROOT) -> float | None:
    """Of the first core: what its driver says, else what the kernel does."""
    try:
        text = (root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").read_text(encoding="utf-8")
        return float(text) / 1000
    except (OSError, ValueError):
        pass
    try:
        found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", (root / "proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return float(found[1]) if found else None


def cache_of_cpu(root: Path = _ROOT) -> int:
    """Bytes of the last-level cache of the first core; 0 where it is not said."""
    sizes = [0]
    for path in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        found = re.fullmatch(r"(\d+)([KM]?)", path.read_text(encoding="utf-8").strip())
        sizes += [int(found[1]) << {"": 0, "K": 10, "M": 20}[found[2]]] if found else []
    return max(sizes)


def _nvidia(address: str) -> float | None:
    """By NVML itself, which is there wherever the driver is."""
    clock = ctypes.c_uint()
    nvml, device = _nvml(address)
    if nvml is None or nvml.nvmlDeviceGetClockInfo(device, _SM, ctypes.byref(clock)) != 0:
        return None
    return float(clock.value)


@cache
def _nvml(address: str) -> tuple[Any, ctypes.c_void_p]:
    """NVML and its handle of a GPU, kept: to begin with it takes longer than much that is measured. None: no NVML."""
    device = ctypes.c_void_p()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        found = nvml.nvmlInit_v2() == 0
        found = found and nvml.nvmlDeviceGetHandleByPciBusId_v2(address.encode(), ctypes.byref(device)) == 0
    except (OSError, AttributeError):
        return None, device
    return nvml if found else None, device
