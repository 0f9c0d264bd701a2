"""Keys that are younger than a record: they take today's defaults, since the run was made without them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from primus.launch.config import catalog


def fill(saved: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """`saved` with the keys that it lacks. `base` is today's config.yaml, without its groups.

    A group takes them from the YAML file of its recorded choice. Of a group but `task` only its own keys count: below
    them are mappings whose keys are anything's (`environment`, `args`).
    """
    filled = dict(saved)
    for group in catalog.GROUPS:
        if isinstance(saved.get(group), Mapping):
            filled[group] = _with(saved[group], _defaults(group, str(saved[group].get("name"))), deep=group == "task")
    for key, value in base.items():
        if isinstance(value, Mapping) and isinstance(saved.get(key), Mapping):
            filled[key] = _with(saved[key], value, deep=False)
    return filled


def added(saved: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The keys of a config that a saved one does not have, dotted, with their values."""
    found: list[tuple[str, Any]] = []
    for key, value in now.items():
        if key not in saved:
            found.append((f"{prefix}{key}", value))
        elif isinstance(value, Mapping) and isinstance(saved[key], Mapping):
            found += added(saved[key], value, f"{prefix}{key}.")
    return found


def _with(saved: Mapping[str, Any], defaults: Mapping[str, Any], deep: bool) -> dict[str, Any]:
    filled = dict(saved)
    for key, value in defaults.items():
        if key not in saved:
            filled[key] = value
        elif deep and isinstance(value, Mapping) and isinstance(saved[key], Mapping):
            filled[key] = _with(saved[key], value, deep)
    return filled


def _defaults(group: str, name: str) -> dict[str, Any]:
    """What the YAML file of a choice says; nothing where there is no such choice any more, or it is the user's own."""
    path: Path = catalog.conf_dir() / group / f"{name}.yaml"
    if ".." in name.split("/") or name.startswith("/") or not path.is_file():
        return {}
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    given = content.pop("defaults", [])
    # A file of the whole config has the keys of its group below the group's name.
    own: dict[str, Any] = dict(content.get(group, content))
    for word in given:
        if isinstance(word, str) and word.endswith("@_here_"):
            own = _defaults(group, word.removesuffix("@_here_")) | own
    return own
