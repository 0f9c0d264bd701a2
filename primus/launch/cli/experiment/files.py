"""Experiment files as plain data."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from primus.launch.problems import BadRequest

_VARIABLE = re.compile(r"\$\{([^:{}]+)(?::([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """`1e-5` is text to YAML 1.1, and a number to Hydra and everyone else."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(path: Path) -> dict[str, Any]:
    """A YAML or TOML file. Raises BadRequest for one that is not there, cannot be read, or is no mapping by texts."""
    if not path.is_file():
        raise BadRequest(f"--config {path}: there is no such file")
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _Loader)
        odd = next(_odd_keys(content), None)
    except UnicodeDecodeError:
        raise BadRequest(f"--config {path}: it is no text in UTF-8") from None
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        raise BadRequest(f"--config {path}: {error}") from None
    except RecursionError:
        raise BadRequest(f"--config {path}: it is nested too deeply, or holds itself") from None
    if not isinstance(content, dict):
        raise BadRequest(f"--config {path}: it holds no mapping of keys to values")
    if odd is not None:
        raise BadRequest(f"--config {path}: {odd}: a key must be text")
    return content


def mapping(value: Any, key: str, path: Path) -> dict[str, Any]:
    """What stands at `key`, empty where nothing does. Raises BadRequest for what is no mapping."""
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"--config {path}: {key}: it holds no mapping of keys to values")
    return value or {}


def filled(value: Any, environ: Mapping[str, str], path: Path) -> Any:
    """With `${VAR}` and `${VAR:default}` replaced, as AMD's loader does (primus/core/config/yaml_loader.py, v26.5).

    What became a number or a truth by it is one. Raises BadRequest for a variable that is not set and has no default.
    """
    if isinstance(value, dict):
        return {key: filled(v, environ, path) for key, v in value.items()}
    if isinstance(value, list):
        return [filled(v, environ, path) for v in value]
    if not isinstance(value, str):
        return value

    def of(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name not in environ and default is None:
            raise BadRequest(f"--config {path}: ${{{name}}}: {name} is not set here, and no default is given")
        return environ.get(name, default or "")

    text = _VARIABLE.sub(of, value)
    return value if text == value else _scalar(text)


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys with dots between. An empty mapping says nothing."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _odd_keys(content: Any, prefix: str = "") -> Iterator[str]:
    """The keys that are no text, such as numbers, with dots between."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str) or not key:
                yield f"{prefix}{key!r}"
            yield from _odd_keys(value, f"{prefix}{key}.")
    elif isinstance(content, list):
        for value in content:
            yield from _odd_keys(value, prefix)


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false", "null", "none"):
        return {"true": True, "false": False}.get(text.lower())
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip('"')
