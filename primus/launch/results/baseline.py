"""Results against those of an earlier run: which are worse. Only `of` and `verdict` read, both a run directory.

Standard library alone: the first process of a Slurm job needs it to say how the run ended.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from primus.launch.record.files import read_json
from primus.launch.results import Column, Columns, Row, Rows, number, rows
from primus.node import rundir
from primus.node.checks.finding import LEVELS
from primus.node.typed import plain, read

_NAMED = 5
"""Results that a message names, of each way to be worse."""


@dataclass(frozen=True)
class Baseline:
    """An earlier run: its id, its directory, its rows by kind with their columns, and by how much one may be worse.

    `missing`: what it is that something which it has is not there any more.
    """

    run: str
    directory: str
    threshold: float
    columns: Columns
    rows: Rows
    missing: Literal["error", "warn"] = "error"


@dataclass(frozen=True)
class Change:
    """One value of one row then and now. `gain` is the relative change, above 0 for a better value.

    `short` is the label without what all rows of the kind have alike.
    """

    kind: str
    label: str
    short: str
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
    """Every value that both runs have, the worst first.

    `missing` is what the baseline alone has: rows, values of rows, ranks. `troubles` are findings that it has not, or
    not as bad.
    """

    baseline: Baseline
    changes: tuple[Change, ...]
    matched: int
    missing: tuple[str, ...]
    troubles: tuple[str, ...] = ()

    @property
    def worse(self) -> tuple[Change, ...]:
        """Those beyond the threshold."""
        return tuple(change for change in self.changes if change.worse)

    def say_missing(self) -> str:
        """`2 results of <run> are missing: gemm bf16_m64; gemm bf16_m128`; empty where none is."""
        count = len(self.missing)
        are = f"result{'s' * (count > 1)} of {self.baseline.run} {'are' if count > 1 else 'is'} missing"
        return f"{count} {are}: {_some(self.missing)}" if count else ""

    def say_worse(self) -> str:
        """The values that are worse and the findings that are new; empty where there are none."""
        said = []
        if self.worse:
            allowed = f"more than {100 * self.baseline.threshold:g} % worse than in {self.baseline.run}"
            named = _some([change.say() for change in self.worse])
            said.append(f"{len(self.worse)} of {len(self.changes)} values are {allowed}: {named}")
        if self.troubles:
            count = len(self.troubles)
            said.append(f"{count} finding{'s' * (count > 1)} that {self.baseline.run} has not: {_some(self.troubles)}")
        return "; ".join(said)


def compare(baseline: Baseline, now: Rows) -> Comparison:
    """Rows of the same kind and parameters, value by value; of equal rows of a run the last one counts."""
    changes: list[Change] = []
    missing: list[str] = []
    troubles: list[str] = []
    matched = 0
    for kind, columns in baseline.columns.items():
        new = {rows.identity(row, columns): row for row in now.get(kind, ())}
        old = {rows.identity(row, columns): row for row in baseline.rows.get(kind, ())}
        if any(column.trouble for column in columns):
            troubles += [_trouble(row, columns) for which, row in new.items() if _is_worse(row, old.get(which))]
        elif kind.endswith(rundir.BY_RANK):  # whose hosts may be others
            gone = sorted(_ranks(old.values()) - _ranks(new.values()))
            missing += [f"{kind.removesuffix(rundir.BY_RANK)} of rank {rank}" for rank in gone]
        else:
            missing += [f"{kind} {rows.label(old[which], columns)}" for which in old if which not in new]
        both = [which for which in old if which in new]
        matched += len(both)
        telling = [column for column in columns if len({str(row.get(column.name)) for row in old.values()}) > 1]
        for which in both:
            name, short = rows.label(old[which], columns), rows.label(old[which], telling)
            for column in (c for c in columns if c.better):
                before, after = number(old[which].get(column.name)), number(new[which].get(column.name))
                if before is not None and after is not None:
                    gain = _gain(column, before, after)
                    changes.append(Change(kind, name, short, column, before, after, gain, gain < -baseline.threshold))
                elif before is not None:
                    missing.append(f"{kind} {name}: {column.head}, was {column.say(before)}")
    worst_first = tuple(sorted(changes, key=lambda change: change.gain))
    return Comparison(baseline, worst_first, matched, tuple(missing), tuple(troubles))


def verdict(directory: Path) -> str | None:
    """Why the results of a run do not stand beside its baseline; None where they do, or where it has none."""
    baseline = of(directory)
    if baseline is None:
        return None
    found = compare(baseline, rows.read(directory))
    if not found.matched:
        return f"no result can be compared with the baseline {baseline.run}: it has none of the same parameters"
    missing = found.say_missing() if baseline.missing == "error" else ""
    if missing:
        missing += " (baseline_missing=warn: that is meant)"
    return "; ".join(filter(None, (found.say_worse(), missing))) or None


def warning(directory: Path) -> str:
    """What a run has not though its baseline has, where that is only to be said; else empty."""
    baseline = of(directory)
    return compare(baseline, rows.read(directory)).say_missing() if baseline and baseline.missing == "warn" else ""


def of(directory: Path) -> Baseline | None:
    """The baseline of a run; None: it has none that can be read."""
    data = read_json(directory / rundir.BASELINE)
    if not data:
        return None
    columns = {kind: [read(Column, column) for column in every] for kind, every in data["columns"].items()}
    missing = data.get("missing", "error")
    return Baseline(data["run"], data["directory"], data["threshold"], columns, data["rows"], missing)


def as_data(baseline: Baseline) -> Mapping[str, Any]:
    """The content of baseline.json."""
    data: Mapping[str, Any] = plain(baseline)
    return data


def _gain(column: Column, before: float, after: float) -> float:
    better = after - before if column.better == "higher" else before - after
    if before == 0:
        return math.copysign(math.inf, better) if better else 0.0
    return better / abs(before)


def _some(named: Sequence[str]) -> str:
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return "; ".join(named[:_NAMED]) + more


def _ranks(found: Iterable[Row]) -> set[int]:
    return {int(row["rank"]) for row in found if "rank" in row}


def _is_worse(row: Row, before: Row | None) -> bool:
    return before is None or _level(row) > _level(before)


def _level(row: Row) -> int:
    level = row.get("level")
    return LEVELS.index(level) if level in LEVELS else 0


def _trouble(row: Row, columns: Sequence[Column]) -> str:
    """`warn node1 host governor: powersave`"""
    named = [str(row[c.name]) for c in columns if c.key and row.get(c.name) is not None]
    (said,) = (column.say(row.get(column.name)) for column in columns if column.trouble)
    return f"{' '.join([*([row['level']] if 'level' in row else []), *named])}: {said}"
