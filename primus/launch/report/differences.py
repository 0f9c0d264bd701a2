"""In what the runs of a comparison differ: keys that the user typed, and a short name for each run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from primus.launch.config.arguments import key_of
from primus.node.plan import Plan


@dataclass(frozen=True)
class Differences:
    """`values` holds a row for each run, in the order of `keys`; `shared` are the overrides that all runs have."""

    keys: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    shared: tuple[str, ...]

    def numbers(self, key: str) -> list[float] | None:
        """The values of a key, where all of them are numbers and not all the same."""
        column = self.keys.index(key)
        try:
            return [float(row[column]) for row in self.values]
        except ValueError:
            return None


def between(plans: Sequence[Plan], ids: Sequence[str]) -> Differences:
    """What differs between these plans; a run that differs from the others in nothing is named by its id."""
    shared = set.intersection(*(set(plan.overrides) for plan in plans))
    typed = [{key_of(o): o.partition("=")[2] for o in plan.overrides if o not in shared} for plan in plans]
    keys = list(dict.fromkeys(key for values in typed for key in values))
    rows = [
        [given.get(key) or _composed(plan.config, key) for key in keys]
        for plan, given in zip(plans, typed, strict=True)
    ]
    kept = [n for n in range(len(keys)) if len({row[n] for row in rows}) > 1]
    differing = tuple(keys[n] for n in kept)
    values = tuple(tuple(row[n] for n in kept) for row in rows)
    names = [_name(differing, row) for row in values]
    alone = [name and names.count(name) == 1 for name in names]
    unique = (n if one else f"{n} {run}".strip() for n, one, run in zip(names, alone, ids, strict=True))
    return Differences(differing, values, tuple(unique), tuple(o for o in plans[0].overrides if o in shared))


def _name(keys: Sequence[str], values: Sequence[str]) -> str:
    """`megatron` where one group or word differs, else `lr=0.001 seed=2`."""
    if len(keys) == 1 and not _is_number(values[0]):
        return values[0]
    last = [key.rpartition(".")[2] for key in keys]
    short = [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]
    return " ".join(f"{name}={value}" for name, value in zip(short, values, strict=True))


def _composed(config: Mapping[str, Any], key: str) -> str:
    """The value that a run has for a key that was not typed for it; that of a group is its name."""
    value: Any = config
    for part in key.lstrip("+~").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(value.get("name", "") if isinstance(value, Mapping) else "" if value is None else value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
