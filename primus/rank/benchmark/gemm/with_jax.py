"""Matrix products by JAX.

JAX has no events in a stream: the clock of the host is read around several products that are on their way together, so
that the time to start one does not count. Operands take turns; nothing else is written between them.
"""

import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from primus.rank.benchmark import clock
from primus.rank.benchmark.devices import local_rank
from primus.rank.benchmark.gemm.job import Product
from primus.rank.benchmark.timing import Times, repeats

_DTYPES = {"fp32": jnp.float32, "tf32": jnp.float32, "bf16": jnp.bfloat16, "fp16": jnp.float16}
_TOGETHER = 8
"""Products on their way at once on a GPU."""
_CACHE = {"gpu": 256 << 20, "cpu": 64 << 20}
"""Bytes; JAX does not say how large the caches are, and no GPU's is larger."""


class JaxEngine:
    """The GPU of the rank, else the CPU."""

    def __init__(self) -> None:
        for vendor in ("cuda", "rocm"):  # JAX takes most of the memory of every GPU that it sees
            jax.config.update(f"jax_{vendor}_visible_devices", str(local_rank()))
        self._device = jax.devices()[0]
        self.kind = "cpu" if self._device.platform == "cpu" else "gpu"
        self.name = self._device.device_kind if self.kind == "gpu" else "cpu"
        self.cache = _CACHE[self.kind]

    def dtypes(self) -> tuple[str, ...]:
        return ("fp32", "bf16") if self.kind == "cpu" else ("bf16", "fp16", "tf32", "fp32")

    def lacks(self, product: Product, dtype: str) -> str | None:
        return f"{self.name} has no tf32" if dtype == "tf32" and self.kind == "cpu" else None

    def room(self) -> int:
        told = self._device.memory_stats() or {}
        return int(told.get("bytes_limit", 4 << 30)) - int(told.get("bytes_in_use", 0))

    def calls(self, product: Product, dtype: str, sets: int, seed: int) -> Sequence[Callable[[], object]]:
        precision = {"fp32": "highest", "tf32": "tensorfloat32"}.get(dtype)
        first = "bkm" if product.transpose[0] == "t" else "bmk"
        second = "bnk" if product.transpose[1] == "t" else "bkn"
        multiply = jax.jit(lambda a, b: jnp.einsum(f"{first},{second}->bmn", a, b, precision=precision))
        sizes = {"b": product.batch, "m": product.m, "n": product.n, "k": product.k}
        keys = iter(jax.random.split(jax.random.key(seed), 2 * sets))

        def operand(axes: str) -> jax.Array:
            return jax.random.normal(next(keys), [sizes[axis] for axis in axes], _DTYPES[dtype])

        def call(a: jax.Array, b: jax.Array) -> Callable[[], object]:
            return lambda: multiply(a, b)

        return [call(operand(first), operand(second)) for _ in range(sets)]

    def measure(self, calls: Sequence[Callable[[], object]], seconds: float) -> Times:
        for call in calls:
            jax.block_until_ready(call())
        together = 1 if self.kind == "cpu" else _TOGETHER
        one = sum(self._times(calls, 3, together)) / 3 * together
        return Times(self._times(calls, repeats(one, seconds), together), clock.of_cpu() if together == 1 else None)

    def copy(self, size: int) -> Callable[[], object]:
        source = jnp.zeros(size // 4, jnp.float32)  # bytes are moved at a third of the speed (an H200)
        copied = jax.jit(lambda x: x + 1)  # what only copies, the compiler leaves out
        return lambda: copied(source)

    @staticmethod
    def _times(calls: Sequence[Callable[[], object]], number: int, together: int) -> list[float]:
        seconds = []
        for i in range(number):
            began = time.perf_counter()
            jax.block_until_ready([calls[(i * together + j) % len(calls)]() for j in range(together)])
            seconds.append((time.perf_counter() - began) / together)
        return seconds
