"""Flags as data, and the one parser of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from primus.launch.problems import BadRequest
from primus.node.typed import closest

Takes = Literal["value", "nothing", "values", "text", "optional"]


@dataclass(frozen=True)
class Flag:
    """One flag: its spellings, and the key that it sets.

    It takes a `value`, `nothing` (the key then becomes `to`), or `values` up to the next flag; `text` is a value that
    stays text (a name such as 007), `optional` one that only `=` can give, without which it is as `nothing`. `listed`:
    values of several such flags, and those with commas between, are one list. `instead`: the flag is refused, with this
    advice; `note`: it is taken, and this is said. Without a key, `launchers` or `tasks` know what it is for.
    """

    names: tuple[str, ...]
    key: str | None = None
    takes: Takes = "value"
    to: str | bool | int = True
    listed: bool = False
    instead: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """The spelling that people look for."""
        return max(self.names, key=len)


@dataclass(frozen=True)
class Given:
    """A flag as it was typed; `value` is empty for one that was given none."""

    flag: Flag
    value: str


@dataclass(frozen=True)
class Parsed:
    """What was typed: flags in their order, and the words that are none."""

    given: tuple[Given, ...]
    words: tuple[str, ...]


def flag(
    *names: str,
    key: str | None = None,
    takes: Takes = "value",
    listed: bool = False,
    to: str | bool | int = True,
    instead: str | None = None,
    note: str | None = None,
) -> Flag:
    """A `Flag`, shorter to write."""
    return Flag(names, key, takes, to, listed, instead, note)


def parse(words: Sequence[str], flags: Sequence[Flag], where: str) -> Parsed:
    """Read flags in any order: `--name value`, `--name=value`, `-N 2`, `-N2`; values are never taken for flags.

    Raises BadRequest for a flag that there is not, one without its value, and one that is refused.
    """
    given: list[Given] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-" or _is_number(word):
            others.append(word)
            continue
        found, value = _find(word, flags, where)
        if found.instead:
            raise BadRequest(f"{where}: {word.split('=')[0]}: {found.instead}")
        given += _with_values(found, word, value, rest, where)
    return Parsed(tuple(given), tuple(others))


def _find(word: str, flags: Sequence[Flag], where: str) -> tuple[Flag, str | None]:
    name, equals, value = word.partition("=")
    short = word[:2]
    for candidate in flags:
        if name in candidate.names:
            return candidate, value if equals else None
    for candidate in flags:
        if short in candidate.names and candidate.takes not in ("nothing", "optional") and not word.startswith("--"):
            return candidate, word[2:].removeprefix("=")
    known = [n for f in flags if not f.instead for n in f.names]
    raise BadRequest(f"{where}: there is no flag {name}.{closest(name, known)}")


def _with_values(found: Flag, word: str, value: str | None, rest: list[str], where: str) -> list[Given]:
    if found.takes == "nothing":
        if value is not None:
            raise BadRequest(f"{where}: {found.name} takes no value: {word}")
        return [Given(found, "")]
    if found.takes == "optional":
        return [Given(found, value or "")]
    if value is None:
        if not rest or _is_flag(rest[0]):
            raise BadRequest(f"{where}: {found.name} needs a value after it")
        value = rest.pop(0)
    given = [Given(found, value)]
    while found.takes == "values" and rest and not _is_flag(rest[0]) and "=" not in rest[0]:
        given.append(Given(found, rest.pop(0)))
    return given


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _is_number(word)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
