"""How busy the host is: a line in metrics/node-<n>.jsonl at each interval, from /proc and nvidia-smi."""

import json
import math
import os
import time
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

from primus.node.devices import Devices
from primus.node.loop import Loop
from primus.node.sidecar import Sidecar

# Columns of nvidia-smi: our name, their name, what to multiply by (theirs of memory is MiB, ours bytes).
_GPU_COLUMNS = (
    ("utilization_percent", "utilization.gpu", 1.0),
    ("memory_used", "memory.used", float(1 << 20)),
    ("power_watts", "power.draw", 1.0),
    ("temperature_celsius", "temperature.gpu", 1.0),
)


class Load:
    """Samples from the agent's loop, until `stop`; `smi` is the nvidia-smi that runs for it, if any."""

    def __init__(
        self, loop: Loop, path: Path, interval: float, devices: Devices, say: Callable[[str, str], None]
    ) -> None:
        self._path = path
        self._say = say
        self._interval = interval
        self._sampled = time.monotonic()
        self._busy = _cpu_times()
        self._gpus: Dict[str, float] = {}
        self.smi: Optional[Sidecar] = None
        if devices.vendor == "nvidia" and devices.visible:
            self._watch_gpus(loop, devices, interval)
        self._end = loop.every(interval, self._sample)

    def stop(self) -> None:
        """A last sample, unless there was one just now, and the end of nvidia-smi."""
        self._end()
        if time.monotonic() - self._sampled > 0.5 * self._interval:
            self._sample()
        if self.smi:
            self.smi.stop()

    def _watch_gpus(self, loop: Loop, devices: Devices, interval: float) -> None:
        names = ",".join(name for name in devices.visible if not name.startswith("MIG-"))
        query = ",".join(["index", *(theirs for _, theirs, _ in _GPU_COLUMNS)])
        seconds = str(max(1, math.ceil(interval)))
        argv = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "-l", seconds]
        try:
            self.smi = Sidecar(loop, [*argv, *(["-i", names] if names else [])], self._gpu_line, self._gpus_end)
        except OSError as error:
            self._say(f"no figures of the GPUs: nvidia-smi: {error.strerror}", "WARN")

    def _gpu_line(self, line: str) -> None:
        self._gpus.update(gpu_figures(line))

    def _gpus_end(self) -> None:
        self._say("no more figures of the GPUs: nvidia-smi has ended", "WARN")
        self._gpus.clear()

    def _sample(self) -> None:
        self._sampled = time.monotonic()
        before, self._busy = self._busy, _cpu_times()
        sample = {"time": round(time.time(), 3), **_memory(), **_load(), **self._gpus}
        total = self._busy[1] - before[1]
        if total > 0:
            sample["cpu_percent"] = round(100.0 * (self._busy[0] - before[0]) / total, 1)
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(sample) + "\n")
        except OSError as error:
            self._say(f"host metrics are not written: {error}", "WARN")


def gpu_figures(line: str) -> Dict[str, float]:
    """`{"gpu0_utilization_percent": 97.0, ...}` from a line of nvidia-smi; without what it does not know or garbles."""
    index, *values = (part.strip() for part in line.split(","))
    if not index.isdigit() or len(values) != len(_GPU_COLUMNS):
        return {}
    figures = {}
    for (ours, _, scale), value in zip(_GPU_COLUMNS, values):
        try:
            figures[f"gpu{index}_{ours}"] = float(value) * scale
        except ValueError:  # [N/A]
            continue
    return figures


def _cpu_times() -> Tuple[float, float]:
    """Busy and all time of every core together since boot, in ticks: first line of /proc/stat (proc(5))."""
    fields = [float(field) for field in _read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    if len(fields) < 5:
        return 0.0, 0.0
    return sum(fields) - fields[3] - fields[4], sum(fields)  # less idle and iowait


def _memory() -> Dict[str, float]:
    fields = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
    try:
        kib = int(fields["MemTotal"].split()[0]) - int(fields["MemAvailable"].split()[0])
    except (KeyError, ValueError, IndexError):
        return {}
    return {"memory_used": kib * 1024}


def _load() -> Dict[str, float]:
    try:
        return {"load_1m": os.getloadavg()[0]}
    except OSError:
        return {}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
