"""Matrix products by PyTorch."""

import os
from collections.abc import Callable, Sequence

import torch

from primus.rank.benchmark.gemm.job import Product
from primus.rank.benchmark.timing import Times
from primus.rank.benchmark.torch_device import TorchDevice

_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# https://rocm.docs.amd.com/en/latest/reference/precision-support.html: what the matrix cores of each chip have.
_AMD = {
    "gfx90a": ("bf16", "fp16", "fp32"),
    "gfx942": ("bf16", "fp16", "fp8", "tf32", "fp32"),
    "gfx950": ("bf16", "fp16", "fp8", "fp32"),
}
_ALIGNED = 16  # elements; torch._scaled_mm (2.13) refuses other sizes


class TorchEngine:
    """The GPU of the rank, else the CPU."""

    def __init__(self) -> None:
        self._device = TorchDevice()
        self.name, self.cache = self._device.name, self._device.cache
        self.kind = "gpu" if self._device.on_gpu else "cpu"
        self._chip = ""
        # PyTorch (2.13, Context.cpp) takes tf32 on AMD only with this, which it reads at the first product.
        os.environ.setdefault("HIPBLASLT_ALLOW_TF32", "1")
        if self._device.on_gpu and torch.version.hip:
            self._chip = torch.cuda.get_device_properties(self._device.device).gcnArchName.split(":")[0]

    def dtypes(self) -> tuple[str, ...]:
        if self.kind == "cpu":
            return ("fp32", "bf16")
        if self._chip:
            return _AMD.get(self._chip, ("bf16", "fp16", "fp32"))
        capability = torch.cuda.get_device_capability(self._device.device)
        found = ("bf16", "fp16", "tf32", "fp32") if capability >= (8, 0) else ("fp16", "fp32")
        return ("fp8", *found) if capability >= (8, 9) else found

    def lacks(self, product: Product, dtype: str) -> str | None:
        if dtype in ("tf32", "fp8") and dtype not in self.dtypes():
            return f"{self.name} has no {dtype}"
        if dtype == "fp8" and (product.batch > 1 or product.transpose != "nt"):
            return "PyTorch multiplies fp8 one product at a time, the second operand transposed (nt)"
        if dtype == "fp8" and any(size % _ALIGNED for size in (product.m, product.n, product.k)):
            return f"fp8 needs sizes that are multiples of {_ALIGNED}"
        return None

    def room(self) -> int:
        return self._device.room()

    def calls(self, product: Product, dtype: str, sets: int, seed: int) -> Sequence[Callable[[], object]]:
        torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
        generator = torch.Generator(self._device.device).manual_seed(seed)
        return [self._call(product, dtype, generator) for _ in range(sets)]

    def measure(self, calls: Sequence[Callable[[], object]], seconds: float) -> Times:
        return self._device.measure(calls, seconds)

    def copy(self, size: int) -> Callable[[], object]:
        source = torch.zeros(size, dtype=torch.int8, device=self._device.device)
        target = torch.empty_like(source)
        return lambda: target.copy_(source)

    def _call(self, product: Product, dtype: str, generator: torch.Generator) -> Callable[[], object]:
        first = self._operand(product.batch, product.m, product.k, product.transpose[0] == "t", dtype, generator)
        second = self._operand(product.batch, product.k, product.n, product.transpose[1] == "t", dtype, generator)
        if dtype == "fp8":
            one = torch.ones((), device=self._device.device)
            return lambda: torch._scaled_mm(first, second, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
        result = torch.empty((*first.shape[:-1], second.shape[-1]), dtype=first.dtype, device=first.device)
        return lambda: torch.matmul(first, second, out=result)

    def _operand(
        self, batch: int, rows: int, columns: int, transposed: bool, dtype: str, generator: torch.Generator
    ) -> torch.Tensor:
        shape = [columns, rows] if transposed else [rows, columns]
        shape = [batch, *shape] if batch > 1 else shape
        kind = torch.bfloat16 if dtype == "fp8" else _DTYPES[dtype]
        made = torch.randn(shape, dtype=kind, device=self._device.device, generator=generator)
        if dtype == "fp8":  # MI300's fp8 has no negative zero, that of the others has
            made = made.to(torch.float8_e4m3fnuz if self._chip == "gfx942" else torch.float8_e4m3fn)
        return made.transpose(-2, -1) if transposed else made
