"""`task=preflight`: the nodes by themselves, beside each other, and between each other, before a job runs on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from primus.launch import preflight
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.charts import bar_chart
from primus.launch.report.page import Cell, Charts, Section, Table
from primus.launch.results import Column, Row, Rows, key
from primus.launch.task import Work
from primus.node.typed import bounded

COLUMNS = {
    "node": (
        key("node"),
        Column("state", "state"),
        Column("fails", "failed", digits=0, better="lower"),
        Column("warns", "warnings", digits=0, better="lower"),
        Column("checks", "checks", digits=0),
    ),
    "finding": (
        *(key("node"), key("area"), key("name", "check"), Column("level", "level")),
        *(Column("seen", "seen", trouble=True), Column("expected", "expected"), Column("mend", "mend")),
    ),
    "link": (
        *(key("from"), key("to")),
        Column("ms", "connect", "ms"),
        Column("there", "there", "Gbit/s", 1, "higher"),
        Column("back", "back", "Gbit/s", 1, "higher"),
    ),
}
TITLES = {"node": "Nodes", "finding": "Findings", "link": "Links between nodes"}
SHOWN = ("finding",)
"""Beside what was well, coloured."""
_LEVELS = {"fail": "failed", "warn": "killed", "info": ""}
"""The colours of statuses in a report."""
_BARS = 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is checked. `free` is in GiB, `timeout` in seconds; `megabytes` go over each link, both ways."""

    name: str
    checks: tuple[Literal["host", "gpu", "network", "storage", "software"], ...]
    gpus: int | None = bounded(least=0)
    checkpoint: str | None
    free: float = bounded(least=0)
    megabytes: int = bounded(least=0, most=65536)
    timeout: float = bounded(above=0)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """Checks alone, without ranks. Raises BadRequest where none is asked for."""
    if not task.checks:
        raise BadRequest(f"task.checks is empty: choose some of {', '.join(preflight.AREAS)}")
    asked = preflight.Asked(task.checks, task.gpus, task.checkpoint, task.free, task.megabytes, task.timeout)
    backend = preflight.backend_settings(request, source)
    return Work(
        command=(),
        files=(preflight.file(asked, request, source, place),),
        environment=backend.environment,
        ranks_per_node=1,
        checks=preflight.NAME,
    )


def page(rows: Rows) -> Sequence[Section]:
    """What was found, the worst first, coloured; the speed of each link."""
    head = ("node", "level", "area", "check", "seen", "expected", "how to mend it")
    found = [*rows.get("finding", ()), *rows.get("checked", ())]
    sections: list[Section] = [Table("All checks", head, [_cells(row) for row in found], words=True)]
    bars = [
        (f"{row['from']} to {row['to']}", speed, f"{speed:.1f}", 2)
        for row in rows.get("link", ())
        if (speed := _slower(row)) is not None
    ]
    if bars:
        slowest = sorted(bars, key=lambda bar: bar[1])[:_BARS]
        sections += [Charts("Bandwidth between nodes", [bar_chart("TCP, the slower way", "Gbit/s", slowest)])]
    return sections


def _cells(row: Row) -> list[Cell]:
    words = (str(row.get(name) or "") for name in ("area", "name", "seen", "expected", "mend"))
    level = Cell(str(row["level"]), _LEVELS.get(str(row["level"]), ""))
    return [Cell(str(row["node"])), level, *map(Cell, words)]


def _slower(row: Row) -> float | None:
    speeds = [float(row[way]) for way in ("there", "back") if row.get(way) is not None]
    return min(speeds, default=None)
