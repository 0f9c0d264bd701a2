"""Every point of a run's metric files beside what MLflow has of them."""

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from primus.launch.record.run import RunRecord
from primus.launch.record.store import Metric

_LARGEST = 1.7976931348623157e308
"""What MLflow 3.17 keeps of an infinite value (sanitize_metric_value of its SqlAlchemyStore)."""

_OF_A_RANK = re.compile(r"rank\d+/(.*)")


@dataclass(frozen=True)
class Compared:
    """How many points the files of a run hold, and how many of them MLflow lacked and has now."""

    points: int
    added: int


def compare(recording: RunRecord) -> Compared:
    """Compare every point, and log those that MLflow lacks. Raises store.Unavailable and store.Refused.

    Holds eight bytes a point, so that a run of millions can be compared.
    """
    run_id, store = str(recording.record.run_id), recording.store
    expected: dict[str, array[int]] = defaultdict(lambda: array("q"))
    for point in recording.points():
        expected[point.name].append(_sign(point))
    known: dict[str, set[int]] = {}
    lacking = set()
    for name, signs in expected.items():
        there = _signs(store.points(run_id, name))
        if not there.issuperset(signs):
            known[name] = there
            lacking.add(name)
    wanting = list(_wanting(recording, known)) if lacking else []
    if wanting:
        store.log(run_id, wanting)
    return Compared(sum(len(set(signs)) for signs in expected.values()), len(wanting))


def _wanting(recording: RunRecord, known: dict[str, set[int]]) -> Iterable[Metric]:
    """The points of the files that MLflow has neither by their name nor by the one that they had before it was known
    which rank reports the loss."""
    run_id, store, main = str(recording.record.run_id), recording.store, recording.record.loss_rank
    earlier: dict[str, set[int]] = {}
    for point in recording.points():
        if point.name not in known or _sign(point) in known[point.name]:
            continue
        other = _earlier_name(point.name, main)
        if other not in earlier:
            earlier[other] = _signs(store.points(run_id, other))
        if _sign(point) not in earlier[other]:
            known[point.name].add(_sign(point))  # each once
            yield point


def _earlier_name(name: str, main: int | None) -> str:
    of_a_rank = _OF_A_RANK.fullmatch(name)
    return of_a_rank[1] if of_a_rank else f"rank{main or 0}/{name}"


def _signs(points: Iterable[Metric]) -> set[int]:
    return {_sign(point) for point in points}


def _sign(point: Metric) -> int:
    """A number of 64 bits that stands for a point of a metric as MLflow keeps it: milliseconds, no NaN, no infinity."""
    value = None if math.isnan(point.value) else max(-_LARGEST, min(_LARGEST, point.value))
    return hash((point.step, round(point.time * 1000), value))
