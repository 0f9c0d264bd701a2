"""`primus --help`: every group and choice with one line each, and examples. Pure text."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from primus.launch.config import catalog

_TITLE = "Primus: one command for training, benchmarking and checking large models on a GPU cluster."

_EXAMPLES = (
    ("primus", "train a tiny Llama on this machine's devices"),
    ("primus dry_run=true ranks_per_node=2", "show what would run, and start nothing"),
    ("primus data.files='docs/**/*.md' task.steps=300", "train on your own text"),
    ("primus -m task.optimizer.lr=1e-3,3e-3 task.seed=1,2", "a sweep: four jobs, packed on the devices"),
    ("primus replay=outputs/default/<run> task.optimizer.lr=1e-4", "run it again, with one change"),
)

_OPTIONS = (
    ("key=value", "override one value: primus --cfg job shows every key"),
    ("-m, --multirun", "every combination of comma-separated values, as one sweep"),
    ("--config-dir DIR", "add your own conf/ directory"),
    ("--cfg job", "print the composed config (--resolve: with references resolved)"),
    ("--info defaults-tree", "print how it was composed"),
    ("-sc install=bash", 'tab completion: eval "$(primus -sc install=bash)"'),
)

_EXITS = "Exit codes: 0 done, 1 the job failed, 2 the request is wrong, 3 the environment is not fit, 130 interrupted."


def text(directories: Sequence[Path], width: int | None = None) -> str:
    """The whole help text, at most `width` columns wide (the terminal's, by default)."""
    columns = min(width or shutil.get_terminal_size((100, 24)).columns, 120)
    parts = [textwrap.fill(_TITLE, columns) + "\n"]
    parts.append("Usage: primus [group=choice] [key=value] ...\n")
    for group in catalog.groups(directories):
        rows = [(c.name, c.summary) for c in catalog.choices(group, directories).values()]
        parts.append(_table(f"{group}=", rows, columns))
    parts.append(_table("Options", _OPTIONS, columns))
    parts.append("Examples\n" + "\n".join(_examples(columns)) + "\n")
    parts.append(textwrap.fill(_EXITS, columns))
    return "\n".join(parts)


def _table(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    indent = 24 if width >= 80 else 6
    lines = [title]
    for name, summary in rows:
        filled = textwrap.wrap(summary, max(20, width - indent))
        if len(name) + 4 <= indent and filled:
            first, *filled = filled
            lines.append(f"  {name:<{indent - 2}}{first}")
        else:
            lines.append(f"  {name}")
        lines += [" " * indent + line for line in filled]
    return "\n".join(lines) + "\n"


def _examples(width: int) -> list[str]:
    longest = max(len(command) for command, _ in _EXAMPLES)
    lines = [f"  {command:<{longest}}  # {why}" for command, why in _EXAMPLES]
    if max(map(len, lines)) <= width:
        return lines
    return [f"  # {why}\n  {command}" for command, why in _EXAMPLES]
