"""Frozen dataclasses from plain data (JSON, YAML), and back.

Own code because the node agent needs it with nothing installed, and because an error must name the key, the value, the
choices and the closest match. The same reader types the composed config, the plan and every JSON file of a run.
"""

import dataclasses
import functools
import math
import types
import typing
from typing import Any, Dict, Iterable, List, Optional, Tuple, Type, TypeVar

T = TypeVar("T")

_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))  # `X | Y` is a type of its own from Python 3.10 on


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data: at which key, what was seen, and what would have been right."""

    key: str
    message: str


class DataError(ValueError):
    """The data do not fit the dataclass; `problems` names every key that is wrong."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.key}: {p.message}" for p in self.problems))


def bounded(
    *,
    least: Optional[float] = None,
    most: Optional[float] = None,
    above: Optional[float] = None,
    below: Optional[float] = None,
    hint: str = "",
    default: Any = dataclasses.MISSING,
) -> Any:
    """A dataclass field whose number must lie in [least, most], above or below a bound; `hint` says what it is.

    With a default it may be left out.
    """
    rule = {"least": least, "most": most, "above": above, "below": below, "hint": hint}
    return dataclasses.field(metadata=rule, default=default)


def closest(word: str, choices: Iterable[str]) -> str:
    """`" Did you mean 'torchtitan'?"`, or an empty string where nothing is close."""
    import difflib  # here: 3 ms that only an error should cost

    known = [str(c) for c in choices]
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not near:  # `lr` for `task.optimizer.lr`: the last part of a dotted key is what people remember
        near = [c for c in known if c.rsplit(".", 1)[-1] == word.rsplit(".", 1)[-1]][:1]
    return f" Did you mean '{near[0]}'?" if near else ""


def read(cls: Type[T], data: Any, key: str = "") -> T:
    """An instance of the dataclass `cls` from plain `data`; raises DataError that names every key that is wrong."""
    problems: List[Problem] = []
    value = _convert(cls, data, key, problems)
    if problems:
        raise DataError(problems)
    return typing.cast(T, value)


def plain(value: Any) -> Any:
    """Plain dicts, lists and scalars from dataclasses and tuples: what `json.dump` and `yaml.dump` take."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def _convert(kind: Any, data: Any, key: str, problems: List[Problem]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, key, problems)
    if origin in _UNIONS:
        return _union(arguments, data, key, problems)
    if origin is typing.Literal:
        return _choice(arguments, data, key, problems)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            return _wrong(key, "a list", data, problems)
        return tuple(_convert(arguments[0], v, f"{key}[{i}]", problems) for i, v in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            return _wrong(key, "a mapping", data, problems)
        return {str(k): _convert(arguments[1], v, _join(key, k), problems) for k, v in data.items()}
    return _scalar(kind, data, key, problems)


def _dataclass(kind: Any, data: Any, key: str, problems: List[Problem]) -> Any:
    if not isinstance(data, dict):
        return _wrong(key or "the document", "a mapping", data, problems)
    (fields, hints), values, before = _shape(kind), {}, len(problems)
    for name in data:
        if name not in fields:
            known = ", ".join(fields)
            problems.append(Problem(_join(key, name), f"no such key; there are: {known}.{closest(str(name), fields)}"))
    for name, field in fields.items():
        where = _join(key, name)
        if name in data:
            values[name] = _convert(hints[name], data[name], where, problems)
            _check_bounds(field, values[name], where, problems)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(Problem(where, "missing"))
    return kind(**values) if len(problems) == before else None


@functools.cache
def _shape(kind: Any) -> "Tuple[Dict[str, dataclasses.Field[Any]], Dict[str, Any]]":
    """The fields of a dataclass and their types, by name: to work out the types takes longer than to read the data."""
    return {f.name: f for f in dataclasses.fields(kind)}, typing.get_type_hints(kind)


def _union(kinds: Tuple[Any, ...], data: Any, key: str, problems: List[Problem]) -> Any:
    if data is None and type(None) in kinds:
        return None
    tried: List[List[Problem]] = []
    for kind in (k for k in kinds if k is not type(None)):
        found: List[Problem] = []
        value = _convert(kind, data, key, found)
        if not found:
            return value
        tried.append(found)
    if len(tried) == 1:
        problems.extend(tried[0])
    else:
        problems.append(Problem(key, "; or ".join(p.message for found in tried for p in found)))
    return None


def _choice(choices: Tuple[Any, ...], data: Any, key: str, problems: List[Problem]) -> Any:
    if data in choices and type(data) in {type(c) for c in choices}:
        return data
    names = [str(c) for c in choices]
    problems.append(Problem(key, f"{data!r} is not among {', '.join(names)}.{closest(str(data), names)}"))
    return None


_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a mapping",
    list: "a list",
}


def _scalar(kind: Any, data: Any, key: str, problems: List[Problem]) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind is str and isinstance(data, (int, float)) and not isinstance(data, bool):
        return str(data)  # `experiment.name=2024` is a name
    if isinstance(data, kind) and not (kind is int and isinstance(data, bool)):
        if isinstance(data, float) and not math.isfinite(data):  # and JSON has no word for them
            problems.append(Problem(key, f"{data} is no number that anything can be computed with"))
        return data
    return _wrong(key, _NAMES.get(kind, getattr(kind, "__name__", str(kind))), data, problems)


def _check_bounds(field: Any, value: Any, key: str, problems: List[Problem]) -> None:
    rule = field.metadata
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if rule.get("least") is not None and value < rule["least"]:
            problems.append(Problem(key, f"{value} is less than {rule['least']}, the least it can be"))
        if rule.get("most") is not None and value > rule["most"]:
            problems.append(Problem(key, f"{value} is more than {rule['most']}, the most it can be"))
        if rule.get("above") is not None and value <= rule["above"]:
            problems.append(Problem(key, f"{value} must be above {rule['above']}"))
        if rule.get("below") is not None and value >= rule["below"]:
            hint = f": {rule['hint']}" if rule.get("hint") else ""
            problems.append(Problem(key, f"{value} must be below {rule['below']}{hint}"))


def _wrong(key: str, expected: str, data: Any, problems: List[Problem]) -> None:
    seen = "nothing (null)" if data is None else f"{data!r} ({_NAMES.get(type(data), type(data).__name__)})"
    problems.append(Problem(key, f"expected {expected}, got {seen}"))


def _join(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)
