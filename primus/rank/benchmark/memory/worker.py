"""The rank of `task=benchmark/memory`: operations after STREAM (https://www.cs.virginia.edu/stream/ref.html).

Bytes that move are counted as STREAM counts them: copy two arrays, triad three; `read` sums one, `write` fills one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from primus.node.typed import read
from primus.rank.benchmark import published
from primus.rank.benchmark.devices import Devices
from primus.rank.benchmark.published import Published, share
from primus.rank.benchmark.torch_device import TorchDevice
from primus.rank.problems import UNFIT, Refused

_SIZES = {True: (64 << 20, 1 << 30, 4 << 30), False: (16 << 20, 64 << 20, 128 << 20)}
"""Bytes of an array where none are given, on a GPU and on a CPU."""
_ON_DEVICE = ("copy", "read", "write", "triad")
_BETWEEN = ("to_device", "from_device")
_ARRAYS = {"copy": 2, "triad": 3}

Case = tuple[str, bool | None, int]
"""Operation, whether the host's memory is pinned, bytes of an array."""


@dataclass(frozen=True)
class Job:
    """rank.json: `operations` is (auto,) and `sizes` empty for those that suit the device; `seconds` for each."""

    operations: tuple[str, ...]
    sizes: tuple[int, ...]
    pinned: tuple[bool, ...]
    seconds: float
    framework: str
    gpus: tuple[dict[str, Any], ...]
    path: str | None


def run(rank: dict[str, Any]) -> None:
    """Measure every operation at every size. Raises Refused where there is nothing to measure or no room for it."""
    work, device = read(Job, rank), TorchDevice()
    known = published.of_device(work.gpus, device.name)
    own = list(_cases(work, device))
    if not own:
        raise Refused("to_device and from_device need a GPU, and this rank has none", UNFIT)
    with Devices() as devices:
        cases = devices.agree(own, _name)
        for done, case in enumerate(cases, 1):
            devices.row("memory", "bandwidth", _row(case, work.seconds, device, known))
            devices.progress(done, len(cases))


def _row(case: Case, seconds: float, device: TorchDevice, known: Published) -> dict[str, Any]:
    operation, pinned, size = case
    arrays = _ARRAYS.get(operation, 1)
    if arrays * size > device.room():
        raise Refused(f"{operation} of {size >> 20} MiB: {device.room() >> 20} MiB are free", UNFIT)
    times = device.measure([call(device, operation, size, pinned)], seconds)
    bandwidth = arrays * size / times.p50 / 1e9
    return {
        "operation": operation,
        "pinned": pinned,
        "size": size / 2**20,
        "bandwidth": bandwidth,
        "peak_share": share(bandwidth, known.memory_bandwidth if operation in _ON_DEVICE else None),
        "time_p50": 1e6 * times.p50,
        "time_p95": 1e6 * times.p95,
        "repeats": len(times.seconds),
    }


def _name(case: Case) -> str:
    operation, pinned, size = case
    return f"{operation} of {size} bytes" + ("" if pinned is None else ", pinned" if pinned else ", pageable")


def call(device: TorchDevice, operation: str, size: int, pinned: bool | None = None) -> Callable[[], object]:
    """The operation on arrays of `size` bytes of fp32, which are left as they are found by nobody else."""
    count = max(1, size // 4)

    def array(where: torch.device | str = device.device, **how: Any) -> torch.Tensor:
        return torch.ones(count, dtype=torch.float32, device=where, **how)

    if operation in _BETWEEN:
        near, far = array(), array("cpu", pin_memory=bool(pinned))
        target, source = (near, far) if operation == "to_device" else (far, near)
        return lambda: target.copy_(source, non_blocking=bool(pinned))
    one = array()
    if operation == "read":
        return one.sum
    if operation == "write":
        return lambda: one.fill_(2.0)
    two = array()
    if operation == "copy":
        return lambda: one.copy_(two)
    three = array()
    return lambda: torch.add(two, three, alpha=3.0, out=one)


def _cases(work: Job, device: TorchDevice) -> Iterator[Case]:
    every = _ON_DEVICE + _BETWEEN if work.operations == ("auto",) else work.operations
    for operation in every:
        if operation in _BETWEEN and not device.on_gpu:
            continue
        for pinned in work.pinned if operation in _BETWEEN else (None,):
            for size in work.sizes or _SIZES[device.on_gpu]:
                yield operation, pinned, size
