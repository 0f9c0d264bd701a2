"""`task=diff run_a=<run> run_b=<run>`: where two runs differ in config, surroundings and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from primus.launch.config.request import Request
from primus.launch.problems import OK, BadRequest
from primus.launch.replaying import drift, finding, surroundings
from primus.launch.replaying.finding import SavedRun


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: the runs are `run_a` and `run_b`."""

    name: str


Row = tuple[str, str, str]


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    return f"compare {request.run_a} with {request.run_b}"


def act(task: Settings, request: Request) -> int:
    """Print the differences. Raises BadRequest for a run that is not there."""
    a, b = _run("run_a", request.run_a, request), _run("run_b", request.run_b, request)
    console = Console(highlight=False, markup=False)
    for title, rows in differences(a, b):
        if rows:
            console.print(_table(title, a, b, rows))
        else:
            console.print(f"{title}: equal")
    return OK


def differences(a: SavedRun, b: SavedRun) -> list[tuple[str, list[Row]]]:
    """What differs, by kind: config, surroundings, metrics."""
    found = drift.compare(surroundings.recorded(a), surroundings.recorded(b))
    return [
        ("config", _changes(leaves(a.config), leaves(b.config))),
        ("environment", [(f"{d.kind} {d.name}".strip(), d.then, d.now) for d in found]),
        ("metrics", _changes(_outcome(a), _outcome(b))),
    ]


def leaves(value: Any, key: str = "") -> dict[str, str]:
    """Every leaf of nested data under its dotted key, as text."""
    if isinstance(value, Mapping) and value:
        inner = (leaves(v, f"{key}.{name}" if key else str(name)) for name, v in value.items())
        return {k: v for found in inner for k, v in found.items()}
    return {key: str(value)}


def _outcome(run: SavedRun) -> dict[str, str]:
    result = run.result or {}
    numbers = {k: f"{v:.6g}" for k, v in (result.get("metrics") or {}).items()}
    began, ended = result.get("started"), result.get("ended")
    seconds = {"duration": f"{ended - began:.1f} s"} if began and ended else {}
    return {"status": str(result.get("status", "RUNNING")), "step": str(result.get("step")), **numbers, **seconds}


def _changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[Row]:
    return [(k, a.get(k, "-"), b.get(k, "-")) for k in dict.fromkeys([*a, *b]) if a.get(k) != b.get(k)]


def _run(key: str, word: str | None, request: Request) -> SavedRun:
    if not word:
        raise BadRequest(f"task=diff needs two runs: {key}=<run directory, run id or exported file> is missing")
    return finding.find(key, word, request.output.root, request.tracking.uri, bool(request.dry_run))


def _table(title: str, a: SavedRun, b: SavedRun, rows: Sequence[Row]) -> Table:
    table = Table("", a.run_id, b.run_id, title=title, title_justify="left", expand=False)
    for row in rows:
        table.add_row(*row)
    return table
