"""Results on the console: a table for each kind, or a block for each row where a table does not fit."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from primus.launch.record.files import read_json
from primus.launch.results import Column, Row, baseline, rows, task
from primus.node import rundir

_MOST = 60
"""Rows of a kind that are shown; results.csv has all."""
_FEW = 16
"""Rows of single devices that are shown: what matters of more is in the rows of all."""
_WIDE = 200
"""Columns where there is no terminal, whose width would say how many fit."""


def show(directory: Path, console: Console | None = None) -> None:
    """Print the results of a run; nothing where it has none. `console` is standard output unless given."""
    found = rows.read(directory)
    if not found:
        return
    name = str(read_json(directory / rundir.PLAN).get("task"))
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print()
    for kind, columns in task.columns(name).items():
        if found.get(kind):
            _show(console, task.title(name, kind), found[kind], columns)
    if missing := baseline.warning(directory):
        console.print(Text(f"WARNING {missing}"))


def _show(console: Console, title: str, found: Sequence[Row], columns: Sequence[Column]) -> None:
    of_each = bool(found[0]["kind"].endswith(rundir.BY_RANK))
    if of_each and len(found) > _FEW:
        console.print(f"{title}: {len(found)} rows in {rundir.RESULTS_TABLE}")
        return
    once = rows.steady(found, columns)
    shown, told = found[:_MOST], [column for column in rows.used(found, columns) if column not in once]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in told:
        table.add_column(column.head, justify="left" if rows.is_text(found, column) else "right", overflow="fold")
    for row in shown:
        table.add_row(*(Text(column.say(row.get(column.name))) for column in told))
    beside = f": {rows.told_once(found[0], once)}" if once else ""
    console.print(Text.assemble((title, "bold"), beside))
    if _width(shown, told) <= console.width:
        console.print(table)
    else:
        for row in shown:
            _block(console, row, told)
    if len(found) > _MOST:
        console.print(f"… and {len(found) - _MOST} more in {rundir.RESULTS_TABLE}")
    console.print()


def _width(found: Sequence[Row], columns: Sequence[Column]) -> int:
    """Columns of a terminal that the table takes."""
    return sum(2 + max(len(c.head), *(len(c.say(row.get(c.name))) for row in found)) for c in columns)


def _block(console: Console, row: Row, columns: Sequence[Column]) -> None:
    """The parameters on a line, what was measured below them."""

    def words(column: Column, value: Any) -> str:
        said = column.say(value)
        return said if isinstance(value, str) else f"{column.title} {said}{f' {column.unit}' if column.unit else ''}"

    told = [(column, row[column.name]) for column in columns if row.get(column.name) is not None]
    console.print(Text("  ".join(words(c, v) for c, v in told if c.key), style="cyan"))
    measured = "\n".join(words(column, value) for column, value in told if not column.key)
    console.print(Padding(Text(measured), (0, 0, 0, 2)))
