"""From Hydra's composed config to a `Request`, with every error named, located and answered with the closest match."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.problems import BadRequest, WrongValue
from primus.node.typed import DataError, Problem, read

T = TypeVar("T")

_MISSING = "???"
"""What OmegaConf writes for a value that must be given."""
_BY_NAME = ("runtime", "backend", "data", "task")
"""Groups whose values are typed by the module that their name chooses."""


def resolve(config: DictConfig, known: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Plain data of the composed config, interpolations resolved; of its top-level values some may be `known`.

    Raises BadRequest for one that cannot be resolved.
    """
    try:
        keys = [str(key) for key in config if key != "hydra"]
        data = {key: known[key] if key in known else _plain(config, key) for key in keys}
    except OmegaConfBaseException as error:
        text = str(error).splitlines()[0]
        raise BadRequest(f"{getattr(error, 'full_key', None) or 'The config'}: {text}") from None
    for key in sorted(_missing("", {key: value for key, value in data.items() if key not in known})):
        if not key.startswith("env.set."):  # whose values are taken as they are, `???` included
            raise BadRequest(f"{key} has no value yet: give it with {key}=…")
    return data


def _plain(config: DictConfig, key: Any) -> Any:
    """One top-level value. Node by node: a copy without Hydra's own would take five times as long."""
    if OmegaConf.is_missing(config, key):
        return _MISSING
    value = config[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _missing(key: str, value: Any) -> Iterator[str]:
    """The keys, lists' as `a[0]`, that have no value."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _missing(f"{key}.{name}" if key else str(name), one)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _missing(f"{key}[{index}]", one)
    elif value == _MISSING:
        yield key


def chosen(config: DictConfig) -> dict[str, str]:
    """The choice of each group: of which files the config was composed."""
    hydra = config.get("hydra") or HydraConfig.get()
    return {str(k): str(v) for k, v in hydra.runtime.choices.items() if v}


def origins(config: DictConfig, overrides: Sequence[str], directories: Sequence[Path]) -> Origins:
    """Where the values of a composed config came from."""
    return Origins(tuple(overrides), tuple(directories), chosen(config))


def request(data: Mapping[str, Any], source: Origins) -> Request:
    """The typed request. Raises BadRequest that names every key that is wrong, and where its value came from."""
    asked = typed(Request, data, "", source)
    for group in _BY_NAME:
        name = getattr(asked, group).get("name")
        if not isinstance(name, str):
            seen = "missing" if name is None else f"{name!r} is none"
            raise complaint(DataError([Problem(f"{group}.name", f"{seen}: {group}=<choice> sets it")]), source)
    return asked


def typed(cls: type[T], data: Any, key: str, source: Origins) -> T:
    """`data` at `key` as an instance of the dataclass `cls`; raises BadRequest."""
    try:
        return read(cls, data, key)
    except DataError as error:
        raise complaint(error, source) from None


def complaint(error: DataError, source: Origins) -> BadRequest:
    """Every key that is wrong, a line each, with where its value came from."""
    lines = []
    for problem in error.problems:
        origin = source.of(problem.key)
        lines.append(f"{problem.key}: {problem.message}" + (f"  ({origin})" if origin else ""))
    return BadRequest("\n".join(lines))


@contextlib.contextmanager
def located(source: Origins) -> Iterator[None]:
    """Where a value is found to be wrong later on, add where it came from. Raises BadRequest."""
    try:
        yield
    except WrongValue as error:
        origin = source.of(error.key)
        raise BadRequest(f"{error}  ({origin})" if origin else str(error)) from None
