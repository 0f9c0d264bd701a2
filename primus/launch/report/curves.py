"""Metrics over a run: values with their steps and times, made few enough to draw. Pure."""

import statistics
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from primus.launch.record import tail

START_UP_STEPS = 5
"""Steps at the start whose speed says nothing of those that follow: compilation, allocation, first use of the data."""


@dataclass(frozen=True)
class Curve:
    """One metric: `steps`, `times` (seconds since the epoch) and `values`, all of one length, in the order written."""

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, step: float, time: float, value: float) -> None:
        """One more value."""
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)


def curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """The metrics of a file by name; a line without a step gets its number, from 0. Drops what is not finite."""
    found: dict[str, Curve] = {}
    for number, line in enumerate(lines):
        step = line["step"] if isinstance(line.get("step"), int) else number
        for name, value in tail.numbers(dict(line)).items():
            if abs(value) < float("inf"):  # neither NaN is
                found.setdefault(name, Curve()).add(step, line["time"], value)
    return found


def steady(curve: Curve) -> float | None:
    """The median over the steps after the first START_UP_STEPS, or the second half of a run of less than twice that."""
    skipped = min(START_UP_STEPS, len(curve.values) // 2)
    return statistics.median(curve.values[skipped:]) if curve.values else None


def at_steps(steps: Sequence[float], curve: Curve) -> list[float | None]:
    """The curve's values at these steps; None where it has none."""
    known = dict(zip(curve.steps, curve.values, strict=True))
    return [known.get(step) for step in steps]


def thin(values: Sequence[float], most: int) -> list[int]:
    """At most about `most` indices that keep the shape: of each stretch its lowest and its highest value."""
    if len(values) <= most:
        return list(range(len(values)))
    stretches = max(1, most // 2)
    kept = {0, len(values) - 1}
    for n in range(stretches):
        part = range(n * len(values) // stretches, (n + 1) * len(values) // stretches)
        kept |= {min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
    return sorted(kept)


def spread(group: Sequence[Curve], points: int) -> tuple[Curve, Curve, Curve]:
    """The lowest, median and highest of many curves over time, from about `points` stretches of equal length."""
    start = min(curve.times[0] for curve in group)
    length = (max(curve.times[-1] for curve in group) - start) / points or 1.0
    together: dict[int, list[float]] = {}
    for curve in group:
        for time, value in zip(curve.times, curve.values, strict=True):
            together.setdefault(int((time - start) / length), []).append(value)
    low, middle, high = Curve(), Curve(), Curve()
    for stretch, values in sorted(together.items()):
        for curve, value in ((low, min(values)), (middle, statistics.median(values)), (high, max(values))):
            curve.add(stretch, start + stretch * length, value)
    return low, middle, high
