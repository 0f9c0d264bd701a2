"""The progress line of a job on a terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from primus.launch.progress import facts, way

_ROOM_FOR_A_BAR = 80
"""Columns of a terminal below which the figures alone are shown."""


class Terminal:
    """Rich's progress line below the ranks' own output."""

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        console = Console(highlight=False, soft_wrap=True)
        bar = [BarColumn(bar_width=None)] if console.width >= _ROOM_FOR_A_BAR else []
        self._progress = Progress(
            TextColumn("{task.fields[way]}", table_column=Column(no_wrap=True)),
            *bar,
            _Facts(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task("", total=steps, facts="starting", way=f"step 0/{steps}" if steps else "")
        self._progress.start()

    def lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._progress.console.print(Text(text))

    def metrics(self, values: dict[str, Any]) -> None:
        far = way(values, self._steps)
        if far:
            self._progress.update(self._task, completed=far.done, total=far.whole, facts=facts(values), way=far.words)

    def close(self) -> None:
        self._progress.stop()


class _Facts(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields["facts"]), style="cyan")
