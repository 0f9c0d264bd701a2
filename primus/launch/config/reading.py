"""From Hydra's composed config to a `Request`, with every error named, located and answered with the closest match."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.problems import BadRequest
from primus.node.typed import DataError, read

T = TypeVar("T")


def resolve(config: DictConfig) -> dict[str, Any]:
    """Plain data of the composed config, interpolations resolved. Raises BadRequest for one that cannot be."""
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        data = OmegaConf.to_container(ours, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise BadRequest(f"{error.full_key} has no value yet: give it with {error.full_key}=…") from None
    except (InterpolationResolutionError, OmegaConfBaseException) as error:
        text = str(error).splitlines()[0]
        raise BadRequest(f"{getattr(error, 'full_key', None) or 'The config'}: {text}") from None
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}


def origins(data: dict[str, Any], overrides: Sequence[str], directories: Sequence[Path]) -> Origins:
    """Where the values of a composed config came from."""
    chosen = {k: str(v["name"]) for k, v in data.items() if isinstance(v, dict) and "name" in v}
    return Origins(tuple(overrides), tuple(directories), chosen)


def request(data: dict[str, Any], source: Origins) -> Request:
    """The typed request. Raises BadRequest that names every key that is wrong, and where its value came from."""
    return typed(Request, data, "", source)


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
