"""`backend.args`: TorchTitan's options by its own names, dotted, over a `Trainer.Config`."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

from primus.node.typed import DataError, closest, read
from primus.rank import extra
from primus.rank.problems import Refused

_UNIONS = (typing.Union, types.UnionType)


@dataclasses.dataclass(frozen=True)
class Option:
    """One field of a config: its type, and the class that has it."""

    kind: Any
    owner: type


def overlay(config: Any, arguments: dict[str, Any]) -> None:
    """Set the options in place. Raises Refused for one that TorchTitan has not, and for a value that it cannot take."""
    if not arguments:
        return
    known = options(config)
    touched = [config]
    for name, value in _flat(arguments, known):
        if name not in known:
            raise Refused(f"{extra.key(name)}: TorchTitan has no such option.{closest(name, known)}")
        *parents, last = name.split(".")
        target = _reach(config, parents, known[name].owner)
        converted = _converted(known[name].kind, value, name)
        extra.tell(name, converted, getattr(target, last))
        setattr(target, last, converted)
        touched.append(target)
    for part in reversed(touched):
        try:
            getattr(part, "__post_init__", lambda: None)()
        except (ValueError, AssertionError) as error:  # the rules between its own options
            raise Refused(f"{extra.keys()}: TorchTitan refuses this: {error}") from None


def options(config: Any, prefix: str = "") -> dict[str, Option]:
    """Every option by its dotted name. Where TorchTitan has several classes for a field, those of each."""
    found: dict[str, Option] = {}
    for name, kind in _fields(type(config)).items():
        found[prefix + name] = Option(kind, type(config))
        for other in _classes(kind):
            found |= {f"{prefix}{name}.{n}": Option(k, other) for n, k in _fields(other).items()}
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            found |= options(value, f"{prefix}{name}.")
    return found


def _fields(config: type) -> dict[str, Any]:
    """The types of a config's options: what is TorchTitan's own and can be said in YAML."""
    hints = typing.get_type_hints(config)
    names = [field.name for field in dataclasses.fields(config)]
    return {name: hints[name] for name in names if not name.startswith("_") and name != "model_spec"}


def _classes(kind: Any) -> list[type]:
    """The config classes that a field may be of."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) in _UNIONS else (kind,)
    return [k for k in kinds if isinstance(k, type) and dataclasses.is_dataclass(k)]


def _flat(arguments: dict[str, Any], known: dict[str, Option], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in arguments.items():
        dotted = prefix + name
        inner = isinstance(value, dict) and (dotted not in known or _classes(known[dotted].kind))
        yield from _flat(value, known, f"{dotted}.") if inner else [(dotted, value)]


def _reach(config: Any, parents: list[str], owner: type) -> Any:
    """The part of the config that has an option; of another class than it is now where only that one has it."""
    for depth, name in enumerate(parents):
        outer, config = config, getattr(config, name)
        if depth == len(parents) - 1 and not isinstance(config, owner):
            config = owner()
            setattr(outer, name, config)
    return config


def _converted(kind: Any, value: Any, name: str) -> Any:
    """The value as the type has it. Raises Refused."""
    one = dataclasses.make_dataclass("One", [("value", _readable(kind))])
    try:
        converted: Any = getattr(read(one, {"value": value}), "value")  # noqa: B009  # a field made at run time
    except DataError as error:
        message = "; ".join(problem.message for problem in error.problems)
        raise Refused(f"{extra.key(name)}: {message}") from None
    return list(converted) if isinstance(converted, tuple) else converted


def _readable(kind: Any) -> Any:
    """The type with tuples for lists, as `primus.node.typed` reads them."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return tuple[(_readable(arguments[0]), ...)]  # type: ignore[misc]  # a type made at run time
    if origin in _UNIONS:
        return typing.Union[tuple(_readable(a) for a in arguments)]  # noqa: UP007  # the same
    return kind
