"""Rows of results, read from a run directory, and their names. Standard library alone: a Slurm job's end needs it."""

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from primus.launch.record import tail
from primus.launch.record.files import own
from primus.launch.results import Column, Row, number
from primus.node import rundir

_LONGEST = 80
"""Characters of a label: with kind and column it stays well below what MLflow takes."""


def read(directory: Path) -> dict[str, list[Row]]:
    """The rows of a run by kind, in the order in which they were written; broken lines are passed over."""
    found: dict[str, list[Row]] = {}
    path, position = own(directory, rundir.RESULTS), tail.Position()
    while path and (lines := tail.read(path, position, over=True)):
        for line in lines:
            if line.value and isinstance(line.value.get("kind"), str):
                found.setdefault(line.value["kind"], []).append(line.value)
        position = lines[-1].after
    return found


def used(found: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    """The columns in which any row has something."""
    return [column for column in columns if any(row.get(column.name) is not None for row in found)]


def steady(found: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    """Of the steady columns those with one value in all rows, of which there are several."""
    if len(found) < 2:
        return []
    every = [column for column in columns if column.steady]
    return [c for c in every if found[0].get(c.name) is not None and len({str(row.get(c.name)) for row in found}) == 1]


def told_once(row: Row, columns: Sequence[Column]) -> str:
    """`dtype bf16, batch 1`: these columns of a row in words."""
    said = (f"{column.title} {column.say(row.get(column.name))} {column.unit}".rstrip() for column in columns)
    return ", ".join(said)


def is_text(found: Sequence[Row], column: Column) -> bool:
    """Whether a column holds words more than numbers: it is aligned so."""
    return any(isinstance(row.get(column.name), (str, bool)) for row in found)


def identity(row: Mapping[str, Any], columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Which row it is: its parameters by column, without those that it has not."""
    return tuple((c.name, str(row[c.name])) for c in columns if c.key and row.get(c.name) is not None)


def label(row: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """`bf16_m4096_n4096_k4096`: its parameters as a short name that MLflow takes; `all` for a row without any."""
    parts = []
    for column in (c for c in columns if c.key and row.get(c.name) is not None):
        value = row[column.name]
        parts.append(f"{column.name}{value}" if isinstance(value, (bool, int, float)) else str(value))
    name = re.sub(r"[^\w.-]+", "-", "_".join(parts), flags=re.ASCII) or "all"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{zlib.crc32(name.encode()):08x}"


def metrics(row: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, float]:
    """What was measured, by the names that it has in MLflow: `<kind>/<label>/<column>`."""
    stem = f"{row['kind']}/{label(row, columns)}"
    measured = ((c.name, number(row.get(c.name))) for c in columns if not c.key)
    return {f"{stem}/{name}": value for name, value in measured if value is not None}
