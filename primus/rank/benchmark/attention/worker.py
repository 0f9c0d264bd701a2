"""The rank of `task=benchmark/attention`."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from primus.node.typed import read
from primus.rank.benchmark import published
from primus.rank.benchmark.attention.reasons import Heard, LeftOut
from primus.rank.benchmark.devices import Devices
from primus.rank.benchmark.published import share
from primus.rank.benchmark.timing import copies
from primus.rank.benchmark.torch_device import TorchDevice
from primus.rank.problems import UNFIT, Refused

_KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_ON_CPU = ("flash", "math")
_LENGTHS = {True: (2048, 4096, 8192), False: (128, 512)}
"""Tokens where none are given, on a GPU and on a CPU."""
_BACKWARD = 2.5
"""Products of the backward pass, five (recomputed scores among them), against two forward."""


@dataclass(frozen=True)
class Job:
    """rank.json: `kernels` is (auto,) and `lengths` empty for those that suit the device."""

    kernels: tuple[str, ...]
    lengths: tuple[int, ...]
    batch: int
    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    causal: bool
    dtype: str
    passes: tuple[str, ...]
    seconds: float
    seed: int
    framework: str
    gpus: tuple[dict[str, Any], ...]
    path: str | None

    def flops(self, length: int, direction: str) -> float:
        """As FlashAttention's authors count: 4 B S^2 H D forward, half under a causal mask; backward 2.5 times that.

        https://github.com/Dao-AILab/flash-attention/blob/main/benchmarks/benchmark_flash_attention.py; with heads of
        two sizes, 2 D is their sum.
        """
        forward = 2.0 * self.batch * length**2 * self.heads * (self.head_size + self.value_size)
        return forward / (2 if self.causal else 1) * (_BACKWARD if direction == "backward" else 1)


def run(rank: dict[str, Any]) -> None:
    """Measure every kernel at every length. Raises Refused where none takes these shapes."""
    work, device = read(Job, rank), TorchDevice()
    dtype = ("bf16" if device.on_gpu else "fp32") if work.dtype == "auto" else work.dtype
    peak = published.of_device(work.gpus, device.name).tflops.get(dtype)
    there = tuple(_KERNELS) if device.on_gpu else _ON_CPU
    kernels = there if work.kernels == ("auto",) else work.kernels
    own = list(itertools.product(kernels, work.lengths or _LENGTHS[device.on_gpu], work.passes))
    measured = False
    with Devices() as devices:
        cases = devices.agree(own, lambda case: f"{case[0]} {case[2]} at {case[1]} tokens in {dtype}")
        done = 0
        for kernel, group in itertools.groupby(cases, key=lambda case: case[0]):
            left_out, of_kernel = LeftOut(kernel), [*group]
            for _, length, direction in of_kernel:
                row = _measure(work, device, left_out, length, direction, dtype, peak)
                measured |= devices.row("attention", "tflops", row)
                done += 1
                devices.progress(done, len(cases))
            for line in left_out.lines(len(of_kernel)):
                print(line, flush=True)
    if not measured:
        raise Refused("no kernel takes these shapes here: see above", UNFIT)


def _measure(
    work: Job, device: TorchDevice, left_out: LeftOut, length: int, direction: str, dtype: str, peak: float | None
) -> dict[str, Any] | None:
    """A row; None where the kernel does not take these shapes, which goes to `left_out`."""
    kernel, case, heard = left_out.kernel, f"{direction} at {length} tokens", Heard()
    elements = work.batch * length * (work.heads + 2 * work.kv_heads) * work.head_size
    sets = copies(elements * _DTYPES[dtype].itemsize, device.cache, device.room() // 4)
    generator = torch.Generator(device.device).manual_seed(work.seed)
    try:
        with heard.caught():
            calls = [_call(work, device, kernel, length, direction, dtype, generator) for _ in range(sets)]
            memory = _memory(device, calls[0])
            times = device.measure(calls, work.seconds)
    except torch.OutOfMemoryError:
        left_out.add(case, "no room for it")
        return None
    except RuntimeError as error:  # how PyTorch says that a kernel does not take these shapes, or is not there
        left_out.add(case, heard.why(kernel, error))
        return None
    finally:
        heard.give_on()
    tflops = work.flops(length, direction) / times.p50 / 1e12
    return {
        "kernel": kernel,
        "direction": direction,
        "dtype": dtype,
        "batch": work.batch,
        "sequence": length,
        "heads": work.heads,
        "kv_heads": work.kv_heads,
        "head_size": work.head_size,
        "causal": work.causal,
        "tflops": tflops,
        "peak_share": share(tflops, peak),
        "time_p50": 1e6 * times.p50,
        "time_p95": 1e6 * times.p95,
        "memory": memory,
        "repeats": len(times.seconds),
    }


def _memory(device: TorchDevice, call: Callable[[], object]) -> float | None:
    """MiB that a call takes beside its operands, results included; None on a CPU, where PyTorch does not count it."""
    if not device.on_gpu:
        return None
    call()  # a library's workspace is taken once
    torch.cuda.reset_peak_memory_stats(device.device)
    before = torch.cuda.memory_allocated(device.device)
    call()
    device.synchronize()
    return float(torch.cuda.max_memory_allocated(device.device) - before) / 2**20


def _call(
    work: Job,
    device: TorchDevice,
    kernel: str,
    length: int,
    direction: str,
    dtype: str,
    generator: torch.Generator,
) -> Callable[[], object]:
    """Forward without a graph; or backward alone, again and again through one graph."""
    backward = direction == "backward"

    def random(heads: int, size: int) -> torch.Tensor:
        shape = (work.batch, heads, length, size)
        made = torch.randn(shape, dtype=_DTYPES[dtype], device=device.device, generator=generator)
        return made.requires_grad_(backward)

    operands = (
        random(work.heads, work.head_size),
        random(work.kv_heads, work.head_size),
        random(work.kv_heads, work.value_size),
    )

    def forward() -> torch.Tensor:
        with sdpa_kernel(_KERNELS[kernel]):
            return scaled_dot_product_attention(
                *operands, is_causal=work.causal, enable_gqa=work.kv_heads != work.heads
            )

    return _backward(forward(), operands) if backward else forward


def _backward(result: torch.Tensor, operands: Sequence[torch.Tensor]) -> Callable[[], object]:
    gradient = torch.randn_like(result)
    return lambda: torch.autograd.grad(result, operands, gradient, retain_graph=True)
