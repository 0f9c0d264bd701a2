"""What the measuring needs of a framework."""

from collections.abc import Callable, Sequence
from typing import Protocol

from primus.rank.benchmark.gemm.job import Product
from primus.rank.benchmark.timing import Times

Call = Callable[[], object]


class Engine(Protocol):
    """A framework with its device: `name` is the driver's for it, `kind` gpu or cpu, `cache` in bytes."""

    name: str
    kind: str
    cache: int

    def dtypes(self) -> tuple[str, ...]:
        """Those that the device multiplies fast."""

    def lacks(self, product: Product, dtype: str) -> str | None:
        """Why it cannot do this product; None: it can."""

    def room(self) -> int:
        """Bytes that are free on the device."""

    def calls(self, product: Product, dtype: str, sets: int, seed: int) -> Sequence[Call]:
        """The product, once for each of `sets` sets of random operands."""

    def measure(self, calls: Sequence[Call], seconds: float) -> Times:
        """Time the calls in turn."""

    def copy(self, size: int) -> Call:
        """A copy of `size` bytes within the device's memory."""
