"""A Primus YAML: `modules.pre_trainer` of AMD's Primus (primus/core/launcher/parser.py, v26.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from primus.launch.cli.experiment import files
from primus.launch.cli.experiment.ledger import Ledger, Told
from primus.launch.cli.experiment.models import model
from primus.launch.cli.literal import override
from primus.launch.problems import BadRequest
from primus.node.typed import closest

_TOP = ("work_group", "user_name", "exp_name", "workspace", "modules", "platform", "env")
_MODULE = ("framework", "config", "model", "overrides", "name")


@dataclass(frozen=True)
class PrimusYaml:
    """A file, and the names of its framework."""

    options: tuple[str, ...]
    translate: Callable[[Mapping[str, Any]], Told]


def read(path: Path, raw: Mapping[str, Any], environ: Mapping[str, str], frameworks: Mapping[str, Any]) -> PrimusYaml:
    """Raises BadRequest for another module than `pre_trainer`, and for a framework that is no backend here."""
    content = files.filled(dict(raw), environ, path)
    modules = files.mapping(content["modules"], "modules", path)
    if "pre_trainer" not in modules:
        raise BadRequest(f"--config {path}: modules: only pre_trainer is here, not {', '.join(modules) or 'nothing'}")
    module = files.mapping(modules["pre_trainer"], "modules.pre_trainer", path)
    module["overrides"] = files.mapping(module.get("overrides"), "modules.pre_trainer.overrides", path)
    content |= {"modules": {**modules, "pre_trainer": module}, "env": files.mapping(content.get("env"), "env", path)}
    name = str(module.get("framework"))
    if name not in frameworks:
        seen = f"{name!r} is none" if "framework" in module else "missing; it is one"
        known = f"{', '.join(frameworks)}.{closest(name, frameworks)}"
        raise BadRequest(f"--config {path}: modules.pre_trainer.framework: {seen} of {known}")
    framework = frameworks[name]
    return PrimusYaml(tuple(framework.NAMES), lambda typed: _told(path, content, name, framework, typed))


def _told(path: Path, content: dict[str, Any], name: str, framework: ModuleType, typed: Mapping[str, Any]) -> Told:
    module = content["modules"]["pre_trainer"]
    preset = str(module.get("config"))
    defaults = framework.PRESETS.get(preset, {})
    preset_model = str(module.get("model") or "").removesuffix(".yaml")
    given = {**files.flat(module["overrides"]), **typed}
    try:
        ours = model(name, preset_model.removesuffix("-fp8")) if preset_model else None
    except BadRequest as error:
        raise BadRequest(f"--config {path}: modules.pre_trainer.model: {error}") from None
    if preset_model.endswith("-fp8"):  # of TorchTitan's models alone
        defaults = {**defaults, **framework.FP8}
    ledger = Ledger(given, defaults)
    framework.enter(ledger)
    body = ledger.told()
    head = _head(content, preset, framework)
    groups = (f"backend={name}", *((f"model={ours}",) if ours else ()))
    account = (f"framework={name} -> backend={name}", f"model={module.get('model')} -> model={ours}")
    return replace(
        body,
        overrides=(*groups, *head.overrides, *body.overrides),
        account=(*head.account, *account, *body.account),
        unknown=(*head.unknown, *body.unknown),
    )


def _head(content: Mapping[str, Any], preset: str, framework: ModuleType) -> Told:
    """What is not the framework's: names and places, the preset, whatever else stands there."""
    module = content["modules"]["pre_trainer"]
    ledger = Ledger({k: v for k, v in content.items() if k not in ("modules", "env")}, {})
    place = [str(content[key]) for key in ("workspace", "work_group", "user_name") if content.get(key)]
    if place:  # primus/core/launcher/config.py: <workspace>/<work_group>/<user_name>/<exp_name>
        ledger.becomes("output.root", "/".join(place), "workspace", "work_group", "user_name")
    if content.get("exp_name"):
        ledger.becomes("experiment.name", str(content["exp_name"]), "exp_name")
    ledger.settled("where a job runs is told by the launcher", "platform")
    for other in ledger.rest:
        ledger.unclear(f"no key of a Primus YAML.{closest(other, _TOP)}", other)
    told = ledger.told()
    extra = [f"modules.{m}: only pre_trainer is run" for m in content["modules"] if m != "pre_trainer"]
    extra += [f"modules.pre_trainer.{k}: no such key.{closest(k, _MODULE)}" for k in module if k not in _MODULE]
    if preset not in framework.PRESETS:
        extra.append(f"modules.pre_trainer.config={preset}: not known here; defaults are those of Primus")
    variables = {f"env.set.{name}": str(value) for name, value in content["env"].items()}
    return replace(
        told,
        overrides=(*told.overrides, *(override(k, v) for k, v in variables.items())),
        unknown=(*told.unknown, *extra),
    )
