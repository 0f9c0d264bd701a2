"""What one rank of `task=benchmark/gemm` is to measure: rank.json, read. Standard library alone."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

SQUARES = {"gpu": (1024, 2048, 4096, 8192, 16384), "cpu": (256, 512, 1024)}
"""Sizes of the square products that are measured when none are given."""
TOP = {"gpu": 8192, "cpu": 1024}
"""Size of the square product that says what a device's arithmetic can do."""
SIZES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1}
"""Bytes of an element of the operands."""


@dataclass(frozen=True)
class Product:
    """`batch` products of (m, k) by (k, n); `transpose`: which operand lies transposed, `nt`: the second."""

    name: str
    m: int
    n: int
    k: int
    batch: int
    transpose: str

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.batch * self.m * self.n * self.k

    def moved(self, dtype: str) -> int:
        """Bytes that must be read and written at least. The result of fp8 operands is bf16."""
        result = 2 if dtype == "fp8" else SIZES[dtype]
        operands = self.m * self.k + self.k * self.n
        return self.batch * (operands * SIZES[dtype] + self.m * self.n * result)


@dataclass(frozen=True)
class Job:
    """`products` is empty for squares that suit the device; `dtypes` is (auto,) for those that it multiplies fast.

    `gpus` are the published figures of GPUs, `path` is of no interest here.
    """

    products: tuple[Product, ...]
    transposes: tuple[str, ...]
    batches: tuple[int, ...]
    dtypes: tuple[str, ...]
    seconds: float
    seed: int
    framework: Literal["torch", "jax"]
    gpus: tuple[dict[str, Any], ...]
    path: str | None


def products(job: Job, kind: str) -> tuple[Product, ...]:
    """What is measured on a device of this kind (gpu, cpu)."""
    every = itertools.product(SQUARES[kind], job.batches, job.transposes)
    return job.products or tuple(Product("", size, size, size, batch, how) for size, batch, how in every)


def cases(job: Job, kind: str, dtypes: tuple[str, ...]) -> Iterator[tuple[Product, str]]:
    """Each product in each dtype."""
    return ((product, dtype) for dtype in dtypes for product in products(job, kind))
