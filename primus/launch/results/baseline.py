"""Results against those of an earlier run: which are worse. Only `of` and `verdict` read, both a run directory.

Standard library alone: the first process of a Slurm job needs it to say how the run ended.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch.record.files import read_json
from primus.launch.results import Column, Columns, Rows, number, rows
from primus.node import rundir
from primus.node.typed import plain, read

_NAMED = 5
"""Results that a message names."""


@dataclass(frozen=True)
class Baseline:
    """An earlier run: its id, its directory, its rows by kind with their columns, and by how much one may be worse."""

    run: str
    directory: str
    threshold: float
    columns: Columns
    rows: Rows


@dataclass(frozen=True)
class Change:
    """One value of one row then and now. `gain` is the relative change, above 0 for a better value."""

    kind: str
    label: str
    column: Column
    before: float
    after: float
    gain: float
    worse: bool

    def say(self) -> str:
        """`gemm bf16_m64_n64_k64: TFLOP/s 0.91, was 1.20 (24.2 % worse)`"""
        how = "worse" if self.gain < 0 else "better"
        by = f"{100 * abs(self.gain):.1f} % {how}" if math.isfinite(self.gain) else how
        now, then = self.column.say(self.after), self.column.say(self.before)
        return f"{self.kind} {self.label}: {self.column.head} {now}, was {then} ({by})"


@dataclass(frozen=True)
class Comparison:
    """Every value that both runs have, the worst first; `missing` are rows that the baseline alone has."""

    baseline: Baseline
    changes: tuple[Change, ...]
    matched: int
    missing: tuple[str, ...]

    @property
    def worse(self) -> tuple[Change, ...]:
        """Those beyond the threshold."""
        return tuple(change for change in self.changes if change.worse)


def compare(baseline: Baseline, now: Rows) -> Comparison:
    """Rows of the same kind and parameters, value by value; of equal rows of a run the last one counts."""
    changes: list[Change] = []
    missing: list[str] = []
    matched = 0
    for kind, columns in baseline.columns.items():
        new = {rows.identity(row, columns): row for row in now.get(kind, ())}
        for which, old in {rows.identity(row, columns): row for row in baseline.rows.get(kind, ())}.items():
            name = rows.label(old, columns)
            if which not in new:
                missing.append(f"{kind} {name}")
                continue
            matched += 1
            for column in (c for c in columns if c.better):
                before, after = number(old.get(column.name)), number(new[which].get(column.name))
                if before is not None and after is not None:
                    gain = _gain(column, before, after)
                    changes.append(Change(kind, name, column, before, after, gain, gain < -baseline.threshold))
    return Comparison(baseline, tuple(sorted(changes, key=lambda change: change.gain)), matched, tuple(missing))


def verdict(directory: Path) -> str | None:
    """Why the results of a run do not stand beside its baseline; None where they do, or where it has none."""
    baseline = of(directory)
    if baseline is None:
        return None
    found = compare(baseline, rows.read(directory))
    if not found.matched:
        return f"no result can be compared with the baseline {baseline.run}: it has none of the same parameters"
    if not found.worse:
        return None
    named = "; ".join(change.say() for change in found.worse[:_NAMED])
    more = f"; and {len(found.worse) - _NAMED} more" if len(found.worse) > _NAMED else ""
    allowed = f"more than {100 * baseline.threshold:g} % worse"
    return f"{len(found.worse)} of {len(found.changes)} values are {allowed} than in {baseline.run}: {named}{more}"


def of(directory: Path) -> Baseline | None:
    """The baseline of a run; None: it has none that can be read."""
    data = read_json(directory / rundir.BASELINE)
    if not data:
        return None
    columns = {kind: [read(Column, column) for column in every] for kind, every in data["columns"].items()}
    return Baseline(data["run"], data["directory"], data["threshold"], columns, data["rows"])


def as_data(baseline: Baseline) -> Mapping[str, Any]:
    """The content of baseline.json."""
    data: Mapping[str, Any] = plain(baseline)
    return data


def _gain(column: Column, before: float, after: float) -> float:
    better = after - before if column.better == "higher" else before - after
    if before == 0:
        return math.copysign(math.inf, better) if better else 0.0
    return better / abs(before)
