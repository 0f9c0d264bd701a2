"""How far a sync is, as a bar on a terminal: by the bytes of the metric files that MLflow has taken."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from primus.launch import closing
from primus.launch.record.state import Record
from primus.launch.record.syncing import size

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """A bar over several runs and sweeps, with lines above it; elsewhere than on a terminal the lines alone."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._sizes = {directory: size(directory) for directory in directories}
        self._taken: dict[Path, int] = {}
        self._before = 0
        self._begun: list[Path] = []
        self._progress: Progress | None = None

    def __enter__(self) -> "Bar":
        if sys.stdout.isatty():
            from rich import progress  # takes 40 ms to import

            self._progress = progress.Progress(expand=True, transient=True)
            self._task = self._progress.add_task("", total=sum(self._sizes.values()) or 1)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def begin(self, directory: Path) -> None:
        """This one is next."""
        self._before = sum(self._sizes[earlier] for earlier in self._begun)
        self._begun.append(directory)
        self._taken = {}
        if self._progress:
            many = f"{len(self._begun)}/{len(self._sizes)}  " if len(self._sizes) > 1 else ""
            self._progress.update(
                self._task, completed=self._before, description=f"{many}{closing.short(directory)}"
            )  # fmt: skip

    def told(self, path: Path, record: Record) -> None:
        """The store has taken a part of the run or the job in `path`."""
        self._taken[path] = sum(record.offsets.values())
        if self._progress:
            self._progress.update(self._task, completed=self._before + sum(self._taken.values()))

    def say(self, lines: Sequence[str]) -> None:
        """Lines above the bar."""
        for line in lines:
            if self._progress:
                self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, flush=True)
