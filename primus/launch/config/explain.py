"""Hydra's own errors, said so that the user knows what to type instead. Runs only when composition failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from primus.launch.config import catalog
from primus.launch.config.arguments import key_of
from primus.launch.problems import BadRequest
from primus.node.typed import closest


def explain(error: Exception, overrides: Sequence[str], directories: Sequence[Path]) -> BadRequest:
    """The complaint for a failed composition: the first override that is wrong, else Hydra's own text."""
    known = catalog.groups(directories)
    for override in overrides:
        wrong = _grammar(override) or _group(override, known, directories)
        if wrong:
            return BadRequest(wrong)
    keys = _keys([o for o in overrides if key_of(o) in known])
    for override in overrides:
        wrong = _key(override, keys, known)
        if wrong:
            return BadRequest(wrong)
    text = str(error).strip() or type(error).__name__
    return BadRequest(text.split("\nSet the environment variable")[0])


def _grammar(override: str) -> str:
    if "=" not in override and not override.startswith("~"):
        return f"{override!r} is no override: write key=value, or see `primus --help`."
    try:
        OverridesParser.create().parse_override(override)
    except (OverrideParseException, HydraException) as error:
        reason = str(error).strip().splitlines()[0]
        return (
            f"Cannot read the override {override!r}: {reason}\n"
            "Overrides are key=value; a value with spaces, commas, brackets or quotes goes in quotes: 'key=\"a, b\"'."
        )
    return ""


def _group(override: str, known: Sequence[str], directories: Sequence[Path]) -> str:
    key, _, value = override.partition("=")
    group = key_of(override)
    if group not in known or key.startswith("~") or "," in value:
        return ""
    there = list(catalog.choices(group, directories))
    if value in there:
        return ""
    said = f"{group}={value}: there is no {group} of that name." if value else f"{group}= names no {group}."
    return f"{said}{closest(value, there) if value else ''}\nThere are: {', '.join(there)}"


def _keys(group_overrides: Sequence[str]) -> list[str]:
    """Every key of the config that these choices give, dotted."""
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        try:
            data = OmegaConf.to_container(compose("config", overrides=list(group_overrides)), resolve=False)
        except HydraException:
            data = OmegaConf.to_container(compose("config"), resolve=False)
    return sorted(_leaves(data, ""))


def _leaves(value: Any, key: str) -> list[str]:
    if isinstance(value, dict) and key != "hydra":
        inner = [leaf for k, v in value.items() for leaf in _leaves(v, f"{key}.{k}" if key else str(k))]
        return [key, *inner] if key else inner
    return [key]


def _key(override: str, keys: Sequence[str], known: Sequence[str]) -> str:
    key = key_of(override)
    if override.startswith(("+", "~")) or key in keys or key.startswith("hydra"):
        return ""
    parent = key.rpartition(".")[0]
    siblings = [k.rpartition(".")[2] for k in keys if k.rpartition(".")[0] == parent]
    hint = closest(key, [*keys, *known])
    there = f"\nThere are: {', '.join(siblings)}" if parent and siblings else ""
    return f"{key}: there is no such key  (command line: {override}).{hint}{there}"
