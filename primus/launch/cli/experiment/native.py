"""An experiment of Primus itself: a YAML file as in conf/experiment, or a TOML with the same keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch.cli.experiment.ledger import Told
from primus.launch.cli.literal import Raw, override
from primus.launch.config import catalog
from primus.launch.config.arguments import quoted
from primus.launch.problems import BadRequest


def told(path: Path, content: Mapping[str, Any]) -> Told:
    """`experiment=<name>` for a file in a folder called so; else an override for each of its keys.

    Raises BadRequest for a defaults list that overrides cannot say.
    """
    path = path.absolute()
    if path.suffix == ".yaml" and path.parent.name == "experiment":
        own = path.parent.parent
        options = () if own == catalog.conf_dir() else ("--config-dir", str(own))
        return Told((f"experiment={path.stem}",), options)
    defaults = content.get("defaults") or []
    if not isinstance(defaults, list):
        raise BadRequest(f"--config {path}: defaults: it is no list of choices")
    choices = [_choice(entry, path) for entry in defaults]
    values = [override(key, value) for key, value in _keys({k: v for k, v in content.items() if k != "defaults"})]
    return Told((*(choice for choice in choices if choice), *values))


def _choice(entry: Any, path: Path) -> str | None:
    if entry == "_self_":
        return None
    if isinstance(entry, Mapping) and len(entry) == 1:
        group, name = next(iter(entry.items()))
        group = str(group).removeprefix("override ").removeprefix("/")
        if group in catalog.GROUPS and isinstance(name, str):
            return override(group, name)
    raise BadRequest(
        f"--config {path}: defaults: {entry}: only `override /<group>: <choice>` can be said in a file that lies "
        f"anywhere; put it into a folder called experiment, as conf/experiment/{path.name}"
    )


def _keys(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys. Parts of a model stay whole: where the model before has none (`moe: null`), they cannot be set."""
    found: list[tuple[str, Any]] = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value and prefix != "model.":
            found += _keys(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _value(value)))
    return found


def _value(value: Any) -> Any:
    """A reference stays one: `${task.steps}`."""
    if isinstance(value, str) and "${" in value:
        return Raw(quoted(value).replace(r"\${", "${"))
    return value
