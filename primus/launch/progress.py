"""How a job is shown while it runs: a progress line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from primus.node.progress import step_of

_PLAIN_INTERVAL = 10.0
"""Seconds between two plain progress lines."""


class Display(Protocol):
    """What the launch side needs of a display."""

    def lines(self, texts: Iterable[str]) -> None:
        """Show lines of a rank, or of Primus."""

    def metrics(self, values: dict[str, Any]) -> None:
        """Show the newest metrics of the job."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


@dataclass(frozen=True)
class Way:
    """How far a job is: `done` of `whole`, and the same in words."""

    done: float
    whole: float
    words: str


def way(values: dict[str, Any], steps: int | None) -> Way | None:
    """By the newest metrics: `bytes` of `bytes_total`, `step` of `of`, else the step of `steps`; None where they do not
    say it.
    """
    done, whole, of = (values.get(name) for name in ("bytes", "bytes_total", "of"))
    step = step_of(values)
    if done is not None and whole:
        return Way(done, whole, f"{done / 1e6:,.1f}/{whole / 1e6:,.1f} MB")
    if step is not None and isinstance(of, int) and of > 0:
        return Way(step, of, f"{step}/{of}")
    if steps and step is not None:
        return Way(step, steps, f"step {step}/{steps}")
    return None


def display(steps: int | None) -> Display:
    """The display that fits the output; `steps` is the number of steps of the job, where it has steps."""
    if not sys.stdout.isatty():
        return Plain(steps)
    return _terminal(steps) if steps else OnceKnown()


def _terminal(steps: int | None) -> Display:
    from primus.launch.terminal import Terminal  # rich takes 40 ms to import

    return Terminal(steps)


class OnceKnown:
    """On a terminal: lines as they come, and the progress line once the job says how far it is: not every job does."""

    def __init__(self) -> None:
        self._shown: Display = Plain(None)
        self._known = False

    def lines(self, texts: Iterable[str]) -> None:
        self._shown.lines(texts)

    def metrics(self, values: dict[str, Any]) -> None:
        if not self._known and way(values, None):
            self._shown, self._known = _terminal(None), True
        if self._known:
            self._shown.metrics(values)

    def close(self) -> None:
        self._shown.close()


class Plain:
    """Lines as they come, and a progress line now and then."""

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        self._started = time.monotonic()
        self._next = 0.0

    def lines(self, texts: Iterable[str]) -> None:
        _write("".join(f"{text}\n" for text in texts))

    def metrics(self, values: dict[str, Any]) -> None:
        now, far = time.monotonic(), way(values, self._steps)
        if not far or (now < self._next and far.done < far.whole):
            return
        self._next = now + _PLAIN_INTERVAL
        _write(f"{far.words}  {facts(values)}".rstrip() + "\n")

    def close(self) -> None:
        return


def facts(values: dict[str, Any]) -> str:
    """`loss 2.3140  12,345 tokens/s` of the newest metrics; `3.4 MB/s` of a job that reads."""
    parts = []
    if "loss" in values:
        parts.append(f"loss {values['loss']:.4f}")
    if "tokens_per_second" in values:
        parts.append(f"{values['tokens_per_second']:,.0f} tokens/s")
    if "megabytes_per_second" in values:
        parts.append(f"{values['megabytes_per_second']:,.1f} MB/s")
    return "  ".join(parts)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
