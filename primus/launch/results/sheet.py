"""results.csv: the rows of a run as a table for other programs."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch.results import Rows, rows
from primus.node import rundir


def write(directory: Path) -> None:
    """Write results.csv beside results.jsonl, whole or not at all; nothing for a run without rows. Raises OSError."""
    found = rows.read(directory)
    if found:
        rundir.write_text(directory / rundir.RESULTS_TABLE, text(found))


def text(found: Rows) -> str:
    """All rows under one head: every column that a row has, in the order in which they first came."""
    every: list[Mapping[str, Any]] = [row for of_kind in found.values() for row in of_kind]
    names = list(dict.fromkeys(name for row in every for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in every)
    return file.getvalue()


def _cell(value: Any) -> Any:
    """What has parts is JSON in its cell."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
