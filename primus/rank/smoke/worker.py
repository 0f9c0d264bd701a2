"""One device: a product, a copy, and an all-reduce with the other devices of the node; says how far it is by the way.

CUDA and HIP alike go by `torch.cuda`. Not for a benchmark: short, and with one size of each.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from primus.rank.problems import Refused

_WARM_UP = 3
_LIMIT = 2e-2
"""Of the largest element, by which a row of the product may be off: bfloat16 has 8 bits, and rounds once at the end."""


def run(settings: dict[str, Any]) -> None:
    """Print a line of JSON before each stage, with what the stage before it measured. Raises Refused where a product is
    wrong."""
    on_gpu = torch.cuda.is_available()
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    device = torch.device("cuda", 0) if on_gpu else torch.device("cpu")
    model = torch.cuda.get_device_name(0) if on_gpu else "CPU"
    seconds = float(settings["seconds"])
    _say("gemm", {}, model)
    _say("memory", {"gemm": _gemm(device, seconds)})
    memory = _copy(device, seconds)
    if int(os.environ["WORLD_SIZE"]) == 1:
        _say("end", {"memory": memory})
        return
    _say("all_reduce", {"memory": memory})
    _say("end", {"all_reduce": _all_reduce(device, seconds, float(settings["within"]))})


def _say(stage: str, values: dict[str, float], model: str = "") -> None:
    print(json.dumps({"stage": stage, "values": values, **({"model": model} if model else {})}), flush=True)


def _gemm(device: torch.device, seconds: float) -> float:
    """TFLOP/s of a square product in bfloat16, in float32 on a CPU; one row of it is compared with the CPU's."""
    n, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (512, torch.float32)
    generator = torch.Generator().manual_seed(1234)
    a, b = (torch.rand(n, n, generator=generator).sub_(0.5).to(dtype).to(device) for _ in range(2))
    out = torch.empty(n, n, dtype=dtype, device=device)
    per_second = _rate(lambda: torch.mm(a, b, out=out), device, seconds)
    right = a[0].cpu().double() @ b.cpu().double()
    wrong = float((out[0].cpu().double() - right).abs().max() / right.abs().max())
    if not wrong <= _LIMIT:  # not a number is wrong too
        raise Refused(f"the product is off by {wrong:.1e} of its largest element, at most {_LIMIT:.0e} is right", 3)
    return 2 * n**3 * per_second / 1e12


def _copy(device: torch.device, seconds: float) -> float:
    """GB/s of a copy within the device's memory, what is read and what is written together."""
    size = 1 << (30 if device.type == "cuda" else 25)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size * _rate(lambda: target.copy_(source), device, seconds) / 1e9


def _all_reduce(device: torch.device, seconds: float, within: float) -> float:
    """GB/s of bus bandwidth of an all-reduce in float32: 2 (n - 1) / n of its size by its time.

    https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md
    """
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(seconds=within))
    size = 1 << (28 if device.type == "cuda" else 22)
    values = torch.zeros(size // 4, dtype=torch.float32, device=device)
    world = dist.get_world_size()
    once = 1 / _rate(lambda: dist.all_reduce(values), device, 0.0)
    agreed = torch.tensor([seconds / once], device=device)
    dist.all_reduce(agreed, dist.ReduceOp.MIN)  # all do as many
    per_second = _rate(lambda: dist.all_reduce(values), device, 0.0, max(1, int(agreed.item())))
    check = torch.full((16,), float(dist.get_rank() + 1), device=device)
    dist.all_reduce(check)
    if set(check.tolist()) != {world * (world + 1) / 2}:
        raise Refused(f"the sum of all devices is {check.tolist()[0]}, right is {world * (world + 1) / 2}", 3)
    dist.destroy_process_group()
    return size * per_second * 2 * (world - 1) / world / 1e9


def _rate(work: Callable[[], object], device: torch.device, seconds: float, times: int = 0) -> float:
    """How often a second, over `times` or about so many `seconds`."""
    for _ in range(_WARM_UP):
        work()
    _wait(device)
    began, count = time.perf_counter(), 0
    while True:
        for _ in range(times or 5):
            work()
        _wait(device)
        count += times or 5
        if times or time.perf_counter() - began >= seconds:
            return count / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
