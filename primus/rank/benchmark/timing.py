"""Times of something that is done again and again. Standard library alone, Python >= 3.9, as an image may have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST, MOST = 10, 10_000
"""How often something is measured: at least, and at most."""


@dataclass(frozen=True)
class Times:
    """Seconds of each repeat; `clock` is that of the processor meanwhile, in MHz, None where it is not known."""

    seconds: Sequence[float]
    clock: float | None = None

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return percentile(self.seconds, 0.5)

    @property
    def p95(self) -> float:
        """What 19 of 20 repeats were as fast as, in seconds."""
        return percentile(self.seconds, 0.95)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def repeats(one: float, seconds: float) -> int:
    """How often to repeat what takes `one` second(s), to fill `seconds`."""
    return max(LEAST, min(MOST, int(seconds / one) if one > 0 else MOST))


def copies(size: int, cache: int, room: int, most: int = 16) -> int:
    """How many sets of operands of `size` bytes to take turns with: together twice the cache, within half the room.

    A product whose operands were left in a cache by the one before is no product of a training step.
    """
    wanted = max(2, math.ceil(2 * cache / max(1, size)))
    return max(1, min(wanted, most, room // 2 // max(1, size)))
