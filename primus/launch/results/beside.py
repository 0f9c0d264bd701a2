"""Results of several runs beside each other, in the report that compares them: all rows, and the main value drawn."""

from collections.abc import Mapping, Sequence

from primus.launch.report.charts import Chart, bar_chart, point_chart
from primus.launch.report.differences import Differences
from primus.launch.report.page import Cell, Charts, Section, Table
from primus.launch.results import Column, Row, Rows, number, rows, task
from primus.node.rundir import BY_RANK

_MOST = 500
"""Rows of a table."""
_BARS = 40

Identity = tuple[tuple[str, str], ...]
Found = Mapping[int, Mapping[Identity, Row]]
"""The rows of a kind by run and parameters."""


def sections(runs: Sequence[tuple[str, Rows]], differences: Differences) -> list[Section]:
    """A table of each kind of result that can be better or worse, a chart of each task's first one.

    Nothing for runs without results. `runs` are the task and the rows of each.
    """
    found: list[Section] = []
    charts: list[Chart] = []
    for name in dict.fromkeys(name for name, every in runs if every):
        drawn = False
        for kind, columns in task.columns(name).items():
            if kind.endswith(BY_RANK) or not any(column.better for column in columns):
                continue
            by_run = _by_run(name, kind, columns, runs)
            if by_run:
                title = task.title(name, kind)
                found += [_table(f"{title}, of all runs", by_run, columns, differences.names)]
                charts += [] if drawn else _charts(title, by_run, columns, differences)
                drawn = True
    return [*([Charts("Results of all runs", charts)] if charts else []), *found]


def _by_run(name: str, kind: str, columns: Sequence[Column], runs: Sequence[tuple[str, Rows]]) -> Found:
    """Of equal rows of a run the last one counts."""
    return {
        n: {rows.identity(row, columns): row for row in every[kind]}
        for n, (of, every) in enumerate(runs)
        if of == name and every.get(kind)
    }


def _table(title: str, by_run: Found, columns: Sequence[Column], names: Sequence[str]) -> Table:
    """Rows of the same parameters stand together, with the best of them marked."""
    every = [row for of_run in by_run.values() for row in of_run.values()]
    told = rows.used(every, [column for column in columns if column.key or column.better])
    cells: list[list[Cell]] = []
    for which in dict.fromkeys(which for of_run in by_run.values() for which in of_run):
        same = {n: of_run[which] for n, of_run in by_run.items() if which in of_run}
        best = {column.name: _best(column, [*same.values()]) for column in told}
        for n, row in same.items():
            said = [(column.say(row.get(column.name)), best[column.name]) for column in told]
            cells += [[Cell(names[n]), *(Cell(text, "best" if text == top else "") for text, top in said)]]
    note = f"The first {_MOST} of {len(cells)} rows." if len(cells) > _MOST else ""
    left = [n for n, column in enumerate(told, 1) if rows.is_text(every, column)]
    return Table(title, ["", *(column.head for column in told)], cells[:_MOST], note, left=left)


def _best(column: Column, same: Sequence[Row]) -> str | None:
    """The best of the values in words; None where nothing is better than the others."""
    values = [value for row in same if (value := number(row.get(column.name))) is not None]
    if column.better is None or len({column.say(value) for value in values}) < 2:
        return None
    return column.say(max(values) if column.better == "higher" else min(values))


def _charts(title: str, by_run: Found, columns: Sequence[Column], differences: Differences) -> list[Chart]:
    """The first value that can be better, over the one number in which the runs differ; else a bar for each row."""
    main = next(column for column in columns if column.better)
    label = [column for column in columns if column.key and not _of_the_run(column, by_run)]
    points = [
        (n, rows.label(row, label) if label else "", value)
        for n, of_run in by_run.items()
        for row in of_run.values()
        if (value := number(row.get(main.name))) is not None
    ]
    if not points:
        return []
    (key,) = differences.keys if len(differences.keys) == 1 else ("",)
    xs = differences.numbers(key) if key else None
    series = list(dict.fromkeys(name for _, name, _ in points))
    if xs is None:
        ordered = sorted(points, key=lambda point: series.index(point[1]))[:_BARS]
        bars = [(f"{differences.names[n]} {name}", value, main.say(value), n) for n, name, value in ordered]
        return [bar_chart(title, main.head, bars)]
    lines = []
    for name in series:
        pairs = sorted((xs[n], value) for n, of, value in points if of == name)
        lines += [(name, [x for x, _ in pairs], [y for _, y in pairs])]
    return [point_chart(f"{title} against {key}", key, main.head, lines)]


def _of_the_run(column: Column, by_run: Found) -> bool:
    """Whether a parameter is the same in all rows of a run: it tells them no better apart than the run's name."""
    return all(len({str(row.get(column.name)) for row in of_run.values()}) == 1 for of_run in by_run.values())
