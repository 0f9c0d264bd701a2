"""The account of an experiment file: no key is left without an entry."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from primus.launch.cli.literal import literal, override
from primus.launch.confidential import redacted_override
from primus.launch.problems import BadRequest
from primus.node.typed import closest


@dataclass(frozen=True)
class Told:
    """Overrides for a file, options of Hydra's own, the account of every key, and of those not understood."""

    overrides: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A name of a framework and our key: the same value, or ours by `values`."""

    key: str
    values: Mapping[Any, Any] = field(default_factory=dict)


class Ledger:
    """What a file gives, with the defaults of what it is based on, and what became of it."""

    def __init__(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self._given, self._defaults = dict(given), dict(defaults)
        self._open = dict.fromkeys({**defaults, **given})
        self._overrides: dict[str, Any] = {}
        self._account: list[str] = []
        self._unknown: list[str] = []

    def value(self, name: str) -> Any:
        """What the file, else what it is based on, says; None where neither does."""
        return self._given.get(name, self._defaults.get(name))

    def number(self, name: str) -> float | None:
        """Its value where that is a number, None where there is none. Raises BadRequest for anything else."""
        value = self.value(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        ):
            raise BadRequest(f"{name}: {self._shown(name)} is no number")
        return value

    def listed(self, name: str) -> list[Any]:
        """Its value where that is a list, the words of a text; empty where it is off. Raises BadRequest else."""
        value = self.value(name) or []
        if isinstance(value, str):
            return value.split()
        if not isinstance(value, list):
            raise BadRequest(f"{name}: {self._shown(name)} is no list")
        return value

    def states(self, *names: str) -> bool:
        """Whether any of them is given, by the file or what it is based on."""
        return any(name in self._given or name in self._defaults for name in names)

    @property
    def rest(self) -> list[str]:
        """Names of the file that have no entry yet."""
        return [name for name in self._open if name in self._given]

    def becomes(self, key: str, value: Any, *names: str) -> None:
        """These names are said by `key` of ours."""
        self._overrides[key] = value
        self._enter(redacted_override(f"{key}={literal(value)}"), *names)

    def instead(self, key: str, value: Any, why: str) -> None:
        """Another value for a key of ours that was told already."""
        self._overrides[key] = value
        self._account.append(f"{key} -> {why}")

    def apply(self, rules: Mapping[str, Rule]) -> None:
        """Translate what one key of ours says for one name."""
        for name, rule in rules.items():
            value = self.value(name)
            if not self.states(name):
                continue
            if rule.values and (not isinstance(value, str | int | float | None) or value not in rule.values):
                choices = ", ".join(str(choice) for choice in rule.values)
                self.unclear(f"{rule.key} is made of {choices} alone", name)
            else:
                self.becomes(rule.key, rule.values[value] if rule.values else value, name)

    def passed(self, *names: str) -> None:
        """They go to the framework by their own names; null is its own default."""
        for name in (name for name in names if self.states(name)):
            if self.value(name) is None:
                self.settled("null: the framework's own", name)
            else:
                self.becomes(f"backend.args.{name}", self.value(name), name)

    def settled(self, why: str, *names: str) -> None:
        """Nothing has to be done for them."""
        self._enter(f"nothing to do: {why}", *names)

    def unclear(self, why: str, *names: str) -> None:
        """They are not understood, and the user is told."""
        self._unknown += [f"{name}={self._shown(name)}: {why}" for name in names if name in self._open]
        self._enter(f"not understood: {why}", *names)

    def off_or_unclear(self, why: str, *names: str) -> None:
        """Not understood, unless they are off: false, 0, null or empty."""
        for name in names:
            if self.value(name) in (None, False, 0, "", [], {}):
                self.settled("off", name)
            else:
                self.unclear(why, name)

    def told(self) -> Told:
        """The result. Every key of the file has been dealt with."""
        assert not self.rest, f"no entry for {self.rest}"
        return Told(
            tuple(override(key, value) for key, value in self._overrides.items()),
            account=tuple(self._account),
            unknown=tuple(self._unknown),
        )

    def _enter(self, became: str, *names: str) -> None:
        for name in names:
            if name in self._open:
                del self._open[name]
                origin = "" if name in self._given else " (default)"
                self._account.append(f"{name}={self._shown(name)}{origin} -> {became}")

    def _shown(self, name: str) -> str:
        return redacted_override(f"{name}={literal(self.value(name))}").partition("=")[2]


def not_known(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Why a name is not understood, with the closest that is."""
    return f"no such key here.{closest(name, list(known))}"
