"""The jobs of a sweep as a table: live on a terminal, a line for each change elsewhere."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_STYLES = {"running": "cyan", "finished": "green", "failed": "bold red", "killed": "yellow", "done before": "dim"}


@dataclass
class Row:
    """One job as the table shows it."""

    name: str
    state: str = "waiting"
    step: int | None = None
    loss: float | None = None
    since: float = field(default_factory=time.monotonic)
    seconds: float | None = None


class JobTable:
    """Shows rows as they change. On a terminal too small for all jobs, those that run come first."""

    def __init__(self, names: list[str], first: int = 0) -> None:
        """A row for each name; `first` is the number of the first job."""
        self._first = first
        self._told = ""
        self.rows = [Row(name or "(as composed)") for name in names]
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)
        if self._console.is_terminal:
            self._live.start()

    def set(self, index: int, state: str, values: dict[str, Any] | None = None) -> None:
        """A job has a new state, or new metrics."""
        row = self.rows[index]
        changed = row.state != state
        if changed and state == "running":
            row.since = time.monotonic()
        row.state, row.seconds = state, time.monotonic() - row.since if row.state != "waiting" else None
        row.step = (values or {}).get("step", row.step)
        row.loss = (values or {}).get("loss", row.loss)
        if changed and not self._console.is_terminal:
            loss = f"  loss {row.loss:.4f}" if row.loss is not None else ""
            sys.stdout.write(f"job {self._first + index}  {state:<8}  {row.name}{loss}\n")
            sys.stdout.flush()

    def tell(self, text: str) -> None:
        """What there is to say of all jobs, above them; elsewhere than on a terminal once, not at each number in it."""
        kind = text.lstrip("0123456789")
        if not self._console.is_terminal and kind and kind != self._told.lstrip("0123456789"):
            sys.stdout.write(f"primus: {text}\n")
            sys.stdout.flush()
        self._told = text

    def close(self) -> None:
        """Leave the final table on the terminal."""
        if self._live.is_started:
            self._live.stop()
            self._console.print(self._table(everything=True))

    def _table(self, everything: bool = False) -> Table:
        counts = {s: sum(r.state == s for r in self.rows) for s in ("waiting", "running", "finished", "failed")}
        title = "  ".join([*(f"{n} {s}" for s, n in counts.items()), *([self._told] if self._told else [])])
        table = Table(title=Text(title), title_justify="left", expand=True)
        for name, justify in (("job", "right"), ("overrides", "left"), ("state", "left"), ("step", "right")):
            table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]  # rich's Literal
        table.add_column("loss", justify="right")
        table.add_column("time", justify="right")
        for index in self._shown(everything):
            row = self.rows[index]
            table.add_row(
                str(self._first + index),
                Text(row.name),  # an override: no markup of rich's
                f"[{_STYLES.get(row.state, 'default')}]{row.state}",
                "" if row.step is None else str(row.step),
                "" if row.loss is None else f"{row.loss:.4f}",
                "" if row.seconds is None else f"{row.seconds:.0f} s",
            )
        return table

    def _shown(self, everything: bool) -> list[int]:
        indices = range(len(self.rows))
        room = max(3, self._console.size.height - 7)
        if everything or len(self.rows) <= room:
            return list(indices)
        order = {"running": 0, "failed": 1, "waiting": 2}
        return sorted(sorted(indices, key=lambda i: order.get(self.rows[i].state, 3))[:room])
