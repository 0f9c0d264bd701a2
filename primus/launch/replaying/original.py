"""The run that `replay=` names, and the config that Hydra composes from it. What is read is data, never code."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from primus.launch.config import catalog
from primus.launch.config.arguments import Arguments, key_of
from primus.launch.planning import OF_THE_COMMAND
from primus.launch.replaying import finding
from primus.launch.replaying.finding import SavedRun

_NAME = "primus_replay"


def named_by(arguments: Arguments) -> SavedRun | None:
    """The saved run that `replay=` names, if the command line has it. Raises BadRequest."""
    word = arguments.value("replay")
    if not word or word == "null":
        return None
    root = arguments.value("output.root") or "outputs"
    offline = (arguments.value("dry_run") or "false").lower() not in ("false", "no", "0")
    return finding.find("replay", word.strip("'\""), root, arguments.value("tracking.uri"), offline)


def register(run: SavedRun, arguments: Arguments) -> str:
    """Make the saved config Hydra's primary config; returns its name.

    Every group is left empty and its saved values are stated outright, so that a later change of a YAML file changes
    nothing. A group that the user chooses anew (`gpu=cpu`) takes its values from the YAML file, not from the run.
    """
    base = yaml.safe_load((catalog.conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    chosen_anew = {key_of(o) for o in arguments.overrides} & set(catalog.GROUPS)
    saved = {k: _literal(v) for k, v in run.config.items() if k not in chosen_anew and k not in OF_THE_COMMAND}
    if "***@" in str(saved.get("tracking", {}).get("uri")):  # its password was not kept
        saved["tracking"]["uri"] = None
    defaults = [{group: None} for group in catalog.GROUPS]
    overrides = [
        d for d in base.pop("defaults") if isinstance(d, Mapping) and str(next(iter(d))).startswith("override ")
    ]
    node = OmegaConf.create({"defaults": ["_self_", *defaults, *overrides], **base, **saved})
    ConfigStore.instance().store(name=_NAME, node=node, provider="replay")
    return _NAME


def _literal(value: Any) -> Any:
    """The saved value with `${` escaped: a resolved config holds no references; a stranger's are not followed."""
    if isinstance(value, dict):
        return {k: _literal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_literal(v) for v in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda m: m.group(1) * 2 + r"\${", value)
    return value
