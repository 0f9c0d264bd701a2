"""What a task says of its results."""

from collections.abc import Collection, Sequence
from typing import Any

from primus.launch.members import member
from primus.launch.problems import BadRequest
from primus.launch.results import Columns, Rows


def columns(task: str) -> Columns:
    """The columns of each kind of row; none for a task without results, or one that this Primus does not know."""
    found: Columns = getattr(_module(task), "COLUMNS", {})
    return found


def title(task: str, kind: str) -> str:
    """The title of a table."""
    return str(getattr(_module(task), "TITLES", {}).get(kind, kind.replace("_", " ").capitalize()))


def sections(task: str, rows: Rows) -> Sequence[Any]:
    """The task's own sections of a report."""
    found = getattr(_module(task), "page", None)
    return found(rows) if found and rows else ()


def shown(task: str) -> Collection[str]:
    """Kinds of rows that the task's own sections show: they have no table beside."""
    found: Collection[str] = getattr(_module(task), "SHOWN", ())
    return found


def _module(task: str) -> Any:
    try:
        return member("task", task)
    except BadRequest:
        return None
