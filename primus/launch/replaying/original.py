"""The run that a command begins with (`replay=`, `resume=`), and the config that Hydra composes from it.

What is read is data, never code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from primus.launch import checkpoints
from primus.launch.config import catalog
from primus.launch.config.arguments import Arguments, key_of
from primus.launch.planning import OF_THE_COMMAND
from primus.launch.problems import BadRequest
from primus.launch.replaying import finding, younger
from primus.launch.replaying.finding import SavedRun
from primus.node import rundir
from primus.node.typed import closest

_NAME = "primus_replay"
_HYDRAS = ("hydra", "defaults")


@dataclass(frozen=True)
class Original:
    """A recorded run that a command begins with, and what for.

    `replay`: run it again, as a new run. `resume`: go on with it, in its directory and record. `evaluate`: measure its
    checkpoint, on its model and data.
    """

    run: SavedRun
    purpose: Literal["replay", "resume", "evaluate"]

    def before(self, chosen: Mapping[str, str]) -> tuple[str, ...]:
        """The values that were typed for it and for the runs that it repeats, less those of groups `chosen` anew."""
        words = dict.fromkeys((*self.run.plan.before, *self.run.plan.overrides))
        keys = {word: key_of(word).split(".") for word in words}
        return tuple(word for word, (group, *rest) in keys.items() if rest and group not in chosen)


def named_by(arguments: Arguments) -> Original | None:
    """The saved run that the command line names, if it does. Raises BadRequest."""
    found = [(key, word) for key in ("replay", "resume") if (word := _word(arguments, key))]
    if len(found) > 1:
        raise BadRequest("replay= makes a new run of an old one, resume= goes on with it: give one of them")
    root = arguments.value("output.root") or "outputs"
    offline = (arguments.value("dry_run") or "false").lower() not in ("false", "no", "0")
    if not found:
        return _to_evaluate(arguments, root)
    key, word = found[0]
    run = finding.find(key, word, root, arguments.value("tracking.uri"), offline or key == "resume")
    if key == "replay":
        return Original(run, "replay")
    _check_resumable(run, arguments)
    return Original(run, "resume")


def _word(arguments: Arguments, key: str) -> str:
    word = (arguments.value(key) or "").strip("'\"")
    return "" if word == "null" else word


def _check_resumable(run: SavedRun, arguments: Arguments) -> None:
    if run.directory is None:
        raise BadRequest(
            f"resume={run.where}: an exported run cannot go on, only its run directory; replay= runs it again"
        )
    if {"-m", "--multirun"} & set(arguments.options):
        raise BadRequest("resume= goes on with one run: leave out --multirun")
    plan, directory = run.plan, run.directory
    if plan.run_id != directory.name or plan.sweep not in (None, directory.parent.name):
        raise BadRequest(
            f"resume={run.where}: by its plan.json this is {run.run_id!r}, which goes on in a folder of that name: "
            "give it back its name; replay= runs it again from any folder"
        )
    if arguments.value("task.checkpoint.directory") is None:
        checkpoints.check_resumable(run)


def _to_evaluate(arguments: Arguments, root: str) -> Original | None:
    """The run whose checkpoint is to be evaluated; None where `checkpoint=` names a folder of checkpoints."""
    word = _word(arguments, "checkpoint")
    if arguments.value("task") != "train/evaluate" or not word:
        return None
    path = Path(word).expanduser()
    if path.is_dir() and not (path / rundir.PLAN).is_file():
        return None
    run = finding.find("checkpoint", word, root, None, offline=True)
    if not run.plan.task.startswith("train/"):
        raise BadRequest(f"checkpoint={word}: a run of task={run.plan.task}, which has no checkpoints of a model")
    return Original(run, "evaluate")


def register(original: Original, arguments: Arguments) -> str:
    """Make the saved config Hydra's primary config; returns its name.

    Every group is left empty and its saved values are stated outright, so that a later change of a YAML file changes
    nothing; only keys that are younger than the run are read from it. A group that the user chooses anew (`gpu=cpu`)
    takes its values from the YAML file, not from the run.
    """
    run = original.run
    base = yaml.safe_load((catalog.conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    _check_keys(run, base)
    chosen_anew = {key_of(o) for o in own_overrides(original, arguments).overrides} & set(catalog.GROUPS)
    saved = {k: _literal(v) for k, v in run.config.items() if k not in chosen_anew and k not in OF_THE_COMMAND}
    if "***@" in str(saved.get("tracking", {}).get("uri")):  # its password was not kept
        saved["tracking"]["uri"] = None
    if original.purpose == "evaluate":
        saved["task"] = {**saved["task"], "name": "train/evaluate"}
    groups = [{group: None} for group in catalog.GROUPS]
    given = base.pop("defaults")
    overrides = [d for d in given if isinstance(d, Mapping) and str(next(iter(d))).startswith("override ")]
    files = [d for d in given if isinstance(d, str)]  # `_self_` first
    saved = younger.fill(saved, base)
    node = OmegaConf.create({"defaults": [*files, *groups, *overrides], **base, **saved})
    ConfigStore.instance().store(name=_NAME, node=node, provider="replay")
    return _NAME


def _check_keys(run: SavedRun, base: Mapping[str, Any]) -> None:
    """Raise BadRequest for a key that no config has. Above all `hydra` and `defaults`: they would tell Hydra what to
    import, to call and to read. And for a group that does not say which choice it is.
    """
    known = [*catalog.GROUPS, *(key for key in base if key not in _HYDRAS)]
    for key in run.config:
        if key not in known and key not in OF_THE_COMMAND:
            raise BadRequest(f"{run.where}: {rundir.CONFIG}: {key}: no such key.{closest(str(key), known)}")
    for group in catalog.GROUPS:
        value = run.config.get(group, {"name": ""})
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise BadRequest(f"{run.where}: {rundir.CONFIG}: {group}: it has no name that says which {group} it is")


def own_overrides(original: Original | None, arguments: Arguments) -> Arguments:
    """The command line less what named the original: the rest changes its config."""
    named = ("replay", "resume")
    return (
        arguments.without(*named, "task") if original and original.purpose == "evaluate" else arguments.without(*named)
    )


def _literal(value: Any) -> Any:
    """The saved value with `${` escaped: a resolved config holds no references; a stranger's are not followed."""
    if isinstance(value, dict):
        return {k: _literal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_literal(v) for v in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda m: m.group(1) * 2 + r"\${", value)
    return value
