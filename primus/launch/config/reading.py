"""From Hydra's composed config to a `Request`, with every error named, located and answered with the closest match."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.problems import BadRequest
from primus.node.typed import DataError, read

T = TypeVar("T")


def resolve(config: DictConfig) -> dict[str, Any]:
    """Plain data of the composed config, interpolations resolved. Raises BadRequest for one that cannot be."""
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        missing = sorted(OmegaConf.missing_keys(ours))
        data = OmegaConf.to_container(ours, resolve=True)
    except OmegaConfBaseException as error:
        text = str(error).splitlines()[0]
        raise BadRequest(f"{getattr(error, 'full_key', None) or 'The config'}: {text}") from None
    for key in missing:
        if not key.startswith("env.set."):  # whose values are taken as they are, `???` included
            raise BadRequest(f"{key} has no value yet: give it with {key}=…")
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}


def origins(config: DictConfig, overrides: Sequence[str], directories: Sequence[Path]) -> Origins:
    """Where the values of a composed config came from: Hydra knows which file was chosen for each group."""
    hydra = config.get("hydra") or HydraConfig.get()
    chosen = {str(k): str(v) for k, v in hydra.runtime.choices.items() if v}
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
