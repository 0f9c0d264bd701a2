"""The best match of the table in some logs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from primus.launch.diagnosis.table import Failure, failures
from primus.launch.diagnosis.text import Text


@dataclass(frozen=True)
class Match:
    """One entry of the table in one log. `index` is that of the line."""

    failure: Failure
    text: Text
    index: int
    groups: Mapping[str, str | None]

    @property
    def at_end(self) -> bool:
        """Whether it is in what the log ends with."""
        return self.index >= self.text.end

    @property
    def line(self) -> str:
        """The evidence."""
        return self.text.lines[self.index].strip()


def best(texts: Sequence[Text]) -> list[Match]:
    """What matches, the most likely first, each entry once.

    What says the cause comes before what only says where, that before what another rank's end looks like. Then what
    failed first, then how a log ends before what it says earlier, then the order of the table. Of other ranks their
    ends count alone: what they warned of before did not end them.
    """
    found = [match for text in texts for match in _in(text)]
    order = {failure.name: number for number, failure in enumerate(failures())}

    def key(match: Match) -> tuple[int, bool, bool, int]:
        return match.failure.rank, not match.text.first, not match.at_end, order[match.failure.name]

    ranked: dict[str, Match] = {}
    for match in sorted(found, key=key):
        ranked.setdefault(match.failure.name, match)
    return list(ranked.values())


def _in(text: Text) -> Iterator[Match]:
    end, before = text.said(text.end, len(text.lines)), text.said(text.near, text.end)
    for failure in failures():
        match = _first(failure, text, text.end, end)
        if match is None and failure.early and text.first:
            match = _first(failure, text, text.near, before)
        if match:
            yield match


def _first(failure: Failure, text: Text, begin: int, part: str) -> Match | None:
    for pattern in failure.patterns:
        if found := pattern.search(part):
            return Match(failure, text, begin + part.count("\n", 0, found.start()), found.groupdict())
    return None
