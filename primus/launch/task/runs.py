"""`task=runs`: the recent runs under the output root, their state, and where they are."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from primus.launch import handle, state
from primus.launch.config.request import Request
from primus.launch.problems import OK
from primus.launch.state import State
from primus.launch.task.status import as_data
from primus.node.typed import bounded

_STYLES = {"RUNNING": "cyan", "FINISHED": "green", "FAILED": "bold red", "KILLED": "yellow", "LOST": "bold red"}
_WIDE = 200
"""Columns where the output is no terminal: nothing is cut off there."""


@dataclass(frozen=True)
class Settings:
    """At most `limit` runs, the newest; a sweep counts as one. `format`: for people, or JSON."""

    name: str
    format: Literal["text", "json"]
    limit: int = bounded(least=1)


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    return f"list the newest {task.limit} runs under {request.output.root}/"


def act(task: Settings, request: Request) -> int:
    """Print the table, newest first."""
    root = Path(request.output.root).expanduser()
    found = state.read_all([d.resolve() for d in newest(root, task.limit)])
    if task.format == "json":
        json.dump([as_data(run) for run in found], sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif found:
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDE)
        console.print(table(found, root.resolve()))
    else:
        print(f"no runs under {root}/")
    return OK


def newest(root: Path, limit: int) -> list[Path]:
    """The directories of the newest runs and sweeps, the jobs of a sweep not counted."""
    every = [d for d in handle.directories(root) if not state.is_sweep(d.parent)]
    return every[: -limit - 1 : -1]


def table(found: list[State], root: Path) -> Table:
    """A row for each run."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "task", "state", "step", "loss", "age", "took", "where"):
        justify: Literal["left", "right"] = "right" if name in ("step", "loss", "age", "took") else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name != "where")
    for run in found:
        loss = (run.metrics or {}).get("loss")
        told = run.reason if run.jobs or run.name == "PENDING" else ""
        made.add_row(
            str(run.directory.relative_to(root)),
            " ".join(filter(None, (run.task, run.what))),
            Text(run.name.lower(), _STYLES.get(run.name, "")) + Text(f" ({told})" if told else ""),
            "" if run.step is None else str(run.step),
            "" if loss is None else f"{loss:.4f}",
            state.duration(run.age),
            "" if run.seconds is None else state.duration(run.seconds),
            run.where,
        )
    return made
