"""Hydra's own errors, said so that the user knows what to type instead. Runs only when composition failed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from yaml import YAMLError

from primus.launch.confidential import redacted_override
from primus.launch.config import catalog
from primus.launch.config.arguments import key_of, quoted
from primus.launch.problems import BadRequest
from primus.node.typed import closest


def explain(
    error: Exception, overrides: Sequence[str], directories: Sequence[Path], saved: Mapping[str, Any] | None
) -> BadRequest:
    """The complaint for a failed composition: the first override that is wrong, else Hydra's own text.

    `saved` is the config that a replay starts from.
    """
    text = (str(error).strip() or type(error).__name__).split("\nSet the environment variable")[0]
    for override in overrides:
        text = text.replace(override, redacted_override(override))
    if isinstance(error, YAMLError):
        return BadRequest(text)
    known = catalog.groups(directories)
    for override in overrides:
        wrong = _grammar(override) or _group(override, known, directories)
        if wrong:
            return BadRequest(wrong)
    keys = _keys([o for o in overrides if key_of(o) in known], directories)
    if saved is not None:
        theirs = {*known} - {key_of(o) for o in overrides}  # a group that is chosen anew is not that of the saved run
        keys = [k for k in keys if k.split(".")[0] not in theirs]
        keys += [k for k in _leaves(saved, "") if k.split(".")[0] in theirs]
    for override in overrides:
        wrong = _key(override, keys, known)
        if wrong:
            return BadRequest(wrong)
    return BadRequest(text)


def _grammar(override: str) -> str:
    if "=" not in override and not override.startswith("~"):
        return f"{override!r} is no override: write key=value, or see `primus --help`."
    shown = redacted_override(override)
    try:
        OverridesParser.create().parse_override(override)
    except (OverrideParseException, HydraException) as error:
        reason = str(error).strip().splitlines()[0]
        return (
            f"Cannot read the override {shown!r}: {reason}\n"
            "Overrides are key=value; a value with spaces, commas, brackets or quotes goes in quotes: 'key=\"a, b\"'."
        )
    return ""


def _group(override: str, known: Sequence[str], directories: Sequence[Path]) -> str:
    key, _, values = override.partition("=")
    group = key_of(override)
    parent, slash, folder = group.partition("/")
    if slash and parent in known:
        return f"{override}: the folder belongs to the name of the choice, {parent}={folder}/{values}"
    if group not in known or key.startswith("~"):
        return ""
    there = list(catalog.choices(group, directories))
    for value in (v.strip(" '\"") for v in values.split(",")):
        if value not in there:
            said = f"{group}={value}: there is no {group} of that name." if value else f"{group}= names no {group}."
            return f"{said}{closest(value, there) if value else ''}\nThere are: {', '.join(there)}"
    return ""


def _keys(group_overrides: Sequence[str], directories: Sequence[Path]) -> list[str]:
    """Every key of the config that these choices give, dotted."""
    own = ",".join(quoted(f"file://{d.absolute()}") for d in directories if d != catalog.conf_dir())
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        try:
            composed = compose("config", overrides=[f"hydra.searchpath=[{own}]", *group_overrides])
        except HydraException:
            composed = compose("config")
    return sorted(_leaves(OmegaConf.to_container(composed, resolve=False), ""))


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
    return f"{key}: there is no such key  (command line: {redacted_override(override)}).{hint}{there}"
