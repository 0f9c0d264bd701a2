"""How a job is shown while it runs: a progress line on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any, Protocol

_PLAIN_INTERVAL = 10.0
"""Seconds between two plain progress lines."""


class Display(Protocol):
    """What the launch side needs of a display."""

    def line(self, text: str) -> None:
        """Show a line of a rank, or of Primus."""

    def metrics(self, values: dict[str, Any]) -> None:
        """Show the newest metrics of the job."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


def display(steps: int | None) -> Display:
    """The display that fits the output; `steps` is the number of steps of the job, where it has steps."""
    if sys.stdout.isatty() and steps:
        from primus.launch.terminal import Terminal  # rich takes 40 ms to import

        return Terminal(steps)
    return Plain(steps)


class Plain:
    """Lines as they come, and a progress line now and then."""

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        self._started = time.monotonic()
        self._next = 0.0

    def line(self, text: str) -> None:
        _write(text + "\n")

    def metrics(self, values: dict[str, Any]) -> None:
        now, step = time.monotonic(), values.get("step")
        if not self._steps or not isinstance(step, int) or (now < self._next and step < self._steps):
            return
        self._next = now + _PLAIN_INTERVAL
        _write(f"step {step}/{self._steps}  {facts(values)}\n")

    def close(self) -> None:
        return


def facts(values: dict[str, Any]) -> str:
    """`loss 2.3140  12,345 tokens/s` of the newest metrics."""
    parts = []
    if "loss" in values:
        parts.append(f"loss {values['loss']:.4f}")
    if "tokens_per_second" in values:
        parts.append(f"{values['tokens_per_second']:,.0f} tokens/s")
    return "  ".join(parts)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `primus | head`: the job goes on
        return
