"""The framework of this example: counts which byte follows which."""

import itertools
import math
from collections import Counter

SMOOTHING = 1.0


class Bigram:
    """Counts pairs; its loss is the mean negative logarithm of what it expected."""

    def __init__(self, smoothing: float | None = None) -> None:
        self.smoothing = SMOOTHING if smoothing is None else smoothing
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._first: Counter[int] = Counter()

    def step(self, text: bytes) -> float:
        """Train on a text; returns its loss by what was known before, in nats per byte."""
        pairs = list(itertools.pairwise(text))
        loss = -sum(math.log(self._expected(a, b)) for a, b in pairs) / len(pairs)
        self._pairs.update(pairs)
        self._first.update(a for a, _ in pairs)
        return loss

    def _expected(self, first: int, second: int) -> float:
        return (self._pairs[first, second] + self.smoothing) / (self._first[first] + 256 * self.smoothing)
