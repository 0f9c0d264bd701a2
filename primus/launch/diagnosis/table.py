"""The table of known failures, failures.toml, as values."""

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

KINDS = ("cause", "general", "effect")
"""What a text says, best first: what went wrong; where it went wrong; that another rank was gone."""

_FILE = Path(__file__).with_name("failures.toml")


@dataclass(frozen=True)
class Failure:
    """An entry of the table; failures.toml says what each field is."""

    name: str
    kind: str
    title: str
    patterns: tuple[re.Pattern[str], ...]
    cause: tuple[str, ...]
    advice: tuple[str, ...]
    source: tuple[str, ...]
    numbers: str = ""
    early: bool = False

    @property
    def rank(self) -> int:
        """0 for the best kind."""
        return KINDS.index(self.kind)

    def filled(self, templates: Sequence[str], groups: Mapping[str, str | None]) -> list[str]:
        """Those texts of the entry all of whose names the pattern has found, filled.

        `x_then` is the group for `x` in an older wording of the same message.
        """
        known = {name.removesuffix("_then"): value.strip(" .") for name, value in groups.items() if value}
        said = []
        for template in templates:
            with suppress(KeyError):
                said.append(string.Formatter().vformat(template, (), known))
        return said


@cache
def failures() -> tuple[Failure, ...]:
    """All entries, in their order."""
    return tuple(_failure(entry) for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["failure"])


def _failure(entry: dict[str, Any]) -> Failure:
    cause = entry["cause"]
    return Failure(
        name=entry["name"],
        kind=entry["kind"],
        title=entry["title"],
        patterns=tuple(re.compile(pattern, re.MULTILINE) for pattern in entry["patterns"]),
        cause=(cause,) if isinstance(cause, str) else tuple(cause),
        advice=tuple(entry["advice"]),
        source=tuple(entry["source"]),
        numbers=entry.get("numbers", ""),
        early=entry.get("early", False),
    )
