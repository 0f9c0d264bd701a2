"""Results in the report of a run: a table for each kind, what the task draws, and the comparison with a baseline."""

import math
from collections.abc import Sequence

from primus.launch.report.charts import bar_chart
from primus.launch.report.page import Cell, Charts, Section, Table
from primus.launch.results import Rows, rows, task
from primus.launch.results.baseline import Baseline, Change, Comparison, compare

_MOST = 500
"""Rows of a table."""
_BARS = 24
"""Changes that are drawn: the worst."""
_TALLEST = 2.0
"""Gains beyond are drawn no longer: one must not make all others too small to be seen."""


def of_run(name: str, every: Rows, baseline: Baseline | None) -> Sequence[Section]:
    """The sections of a run of the task `name`; none where it has no results."""
    found: list[Section] = _comparison(compare(baseline, every)) if baseline else []
    found += task.sections(name, every)
    for kind, columns in task.columns(name).items():
        if (of_kind := every.get(kind)) and kind not in task.shown(name):
            once = rows.steady(of_kind, columns)
            told = [column for column in rows.used(of_kind, columns) if column not in once]
            cells = [[Cell(column.say(row.get(column.name))) for column in told] for row in of_kind[:_MOST]]
            notes = [f"All rows: {rows.told_once(of_kind[0], once)}."] if once else []
            notes += [f"The first {_MOST} of {len(of_kind)} rows."] if len(of_kind) > _MOST else []
            left = [n for n, column in enumerate(told) if rows.is_text(of_kind, column)]
            found += [
                Table(task.title(name, kind), [column.head for column in told], cells, " ".join(notes), left=left)
            ]
    return found


def _comparison(found: Comparison) -> list[Section]:
    """Against the baseline: how much better or worse each value is, the worst first."""
    then = found.baseline
    title = f"Against {then.run}"
    note = (
        f"{found.matched} rows of the same parameters; {len(found.worse)} of {len(found.changes)} values are more than"
        f" {100 * then.threshold:g} % worse."
        + (f" What the baseline alone has: {'; '.join(found.missing)}." if found.missing else "")
        + (f" Findings that it has not: {'; '.join(found.troubles)}." if found.troubles else "")
    )
    cells = [
        [
            Cell(f"{change.kind} {change.label}"),
            Cell(change.column.head),
            Cell(change.column.say(change.before)),
            Cell(change.column.say(change.after)),
            Cell(_by(change), "failed" if change.worse else ""),
        ]
        for change in found.changes[:_MOST]
    ]
    table = Table(title, ["result", "value", "then", "now", "better by"], cells, note, left=(0, 1))
    drawn = [change for change in found.changes if math.isfinite(change.gain)][:_BARS]
    bars = [
        (f"{c.short} {c.column.title}", 100 * (1 + min(c.gain, _TALLEST)), _by(c), 6 if c.worse else 2) for c in drawn
    ]
    chart = bar_chart("Now, against the baseline", "% of the baseline (more is better)", bars)
    return [table, Charts("Comparison", [chart])] if bars else [table]


def _by(change: Change) -> str:
    return f"{100 * change.gain:+.1f} %" if math.isfinite(change.gain) else "better" if change.gain > 0 else "worse"
