"""Why a kernel of attention is not measured. Standard library alone.

PyTorch's error says only that no kernel is available; what speaks against each kernel it gives as warnings before it
(sdp_utils.cpp): a head for each, `Flash attention kernel not used because:`, and below it what holds for that one.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_HEADS = {"Memory efficient": "efficient", "Flash attention": "flash", "cuDNN attention": "cudnn"}
_HEAD = re.compile(rf"({'|'.join(_HEADS)}) kernel not used because")
_given: set[str] = set()
"""Warnings that this process has given on."""


class LeftOut:
    """The cases of one kernel that could not be measured, told together: most are so for one reason."""

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel
        self._by_reason: dict[str, list[str]] = {}

    def add(self, case: str, why: str) -> None:
        """`case` in words: `forward at 2048 tokens`."""
        self._by_reason.setdefault(why, []).append(case)

    def lines(self, cases: int) -> Iterator[str]:
        """A line for each reason, which names its cases where it is not that of all the kernel's `cases`."""
        for why, those in self._by_reason.items():
            which = "" if len(those) == cases else f" ({', '.join(those)})"
            yield f"WARNING {self.kernel}{which} is left out: {why}"


class Heard:
    """Warnings that were caught; what `why` has not used is given on, each text once in a process."""

    def __init__(self) -> None:
        self._caught: list[warnings.WarningMessage] = []

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keep what is warned of within. Raises what is raised there."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")  # a text once in here, though it was heard before
            try:
                yield
            finally:
                self._caught = [*caught]

    def why(self, kernel: str, error: Exception) -> str:
        """What PyTorch has against this kernel: by its warnings, else by its error."""
        told = reasons([str(one.message) for one in self._caught]).get(kernel)
        self._caught = []
        return "; ".join(told) if told else (str(error).splitlines() or [type(error).__name__])[0]

    def give_on(self) -> None:
        """Warn of what was kept."""
        for one in self._caught:
            if str(one.message) not in _given:
                _given.add(str(one.message))
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def reasons(texts: Sequence[str]) -> dict[str, list[str]]:
    """What is said of each kernel, the first sentence of each warning: shapes and advice to programmers follow."""
    found: dict[str, list[str]] = {}
    of: list[str] = []
    for text in texts:
        head = _HEAD.match(text)
        if head:
            of = found.setdefault(_HEADS[head.group(1)], [])
        else:
            of.append(text.partition(" (Triggered internally")[0].partition(". ")[0].rstrip("."))
    return found
