"""Which options of a framework the user's own words decide, typed in neutral terms: no hook sets these otherwise.

A translation does not say what became of which value. So each one that was typed is changed, for a moment: whatever
then differs in the translation is what it decides.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from primus.launch.confidential import redacted_override
from primus.launch.config.arguments import key_of
from primus.launch.config.origin import Origins
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.hooks.protocol import flat

Translate = Callable[[Model, Data, Training], dict[str, Any]]


def by_the_user(translate: Translate, model: Model, data: Data, training: Training, source: Origins) -> dict[str, str]:
    """Options by the framework's own names, with the words that decide them. `translate` is a backend's rank_config."""
    terms: dict[str, Any] = {"model": model, "data": data, "task": training}
    found: dict[str, str] = {}
    own = translate(model, data, training)
    for word in source.every:
        group, *path = re.split(r"[.\[]", key_of(word))
        for part in _changed(terms[group], path) if path and group in terms else ():
            other = _tried(translate, *{**terms, group: part}.values()) or own
            found |= dict.fromkeys(_differing(_options(own), _options(other)), redacted_override(word))
    return found


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _options(translation: dict[str, Any]) -> dict[str, Any]:
    """By dotted names; the translation holds them in parts, `trainer`, `arguments` or `options`."""
    parts = [value if isinstance(value, dict) else {name: value} for name, value in translation.items()]
    return {name: value for part in parts for name, value in flat(part)}


def _tried(translate: Translate, model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The translation; empty where there is none of such a value."""
    try:
        return translate(model, data, training)
    except Exception:  # a plugin's may do anything with values that do not go together
        return {}


def _changed(part: Any, path: list[str]) -> Iterator[Any]:
    """`part` with the value at the path changed, and with each that lies below it."""
    known = [field.name for field in fields(part)]
    for name in [name for name in known if not path or name == path[0]]:
        value = getattr(part, name)
        inner = _changed(value, path[1:]) if is_dataclass(value) else _others(value, get_type_hints(type(part))[name])
        for other in inner:
            yield replace(part, **{name: other})


def _others(value: Any, kind: Any) -> Iterator[Any]:
    """A value of the same kind, where there is one."""
    kinds = (kind, *get_args(kind))
    choices = [choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    if choices:
        yield from [choice for choice in choices if choice != value][:1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield f"{value}_"
    elif isinstance(value, tuple):
        yield tuple(other for one in value for other in _others(one, type(one)))
