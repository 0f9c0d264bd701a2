"""The configs of the jobs of a sweep. Hydra composes each from its files, in 75 ms; most differ in a value or two."""

import copy
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from primus.launch.config import reading


@dataclass(frozen=True)
class Composed:
    """The config of a job: its resolved data, and the choice of each group. Not to be changed: what jobs have in common
    is one object in the data of all of them."""

    data: Mapping[str, Any]
    chosen: Mapping[str, str]


def every(
    loader: Any,
    master: DictConfig,
    jobs: Sequence[Sequence[str]],
    adapt: Callable[[DictConfig], None] = lambda config: None,
) -> list[Composed]:
    """What `loader.load_sweep_config(master, overrides)` of Hydra 1.3.8 gives for each job, in a fiftieth of the time.

    A job that differs from an earlier one by values alone is its config with those values set, for a moment. Any other,
    and any whose values do not fit, Hydra itself composes, or refuses. `adapt` is called with each config. Raises
    BadRequest for one that cannot be resolved.
    """
    parser = OverridesParser.create(config_loader=loader)
    parsed: dict[str, Override] = {}
    for line in dict.fromkeys(line for job in jobs for line in job):
        parsed[line] = parser.parse_override(line)
    kinds: list[_Kind] = [_Master(master, parser)]
    composed = []
    for job in jobs:
        made = next((made for kind in kinds if (made := kind.of(job, parsed, adapt)) is not None), None)
        if made is None:
            config = loader.load_sweep_config(master, list(job))
            adapt(config)
            kinds.append(_Kind(job, config))
            made = kinds[-1].composed(())
        composed.append(made)
    return composed


class _Kind:
    """A config that Hydra has composed, for those that differ from it by values alone."""

    def __init__(self, job: Sequence[str], config: DictConfig) -> None:
        self._job, self._config = job, config
        texts = {str(key): _unresolved(config, key) for key in config if key != "hydra"}
        self._independent = {key for key, text in texts.items() if "${" not in text}
        self._asks_hydra = any("hydra" in text for key, text in texts.items() if key not in self._independent)
        self._known: dict[str, Any] = {}

    def composed(self, changed: Collection[str]) -> Composed:
        """What there is now, where these top-level values are not those of all jobs."""
        data = reading.resolve(self._config, {k: v for k, v in self._known.items() if k not in changed})
        self._known |= {k: v for k, v in data.items() if k in self._independent and k not in changed}
        return Composed(data, reading.chosen(self._config))

    def of(
        self, job: Sequence[str], parsed: Mapping[str, Override], adapt: Callable[[DictConfig], None]
    ) -> Composed | None:
        """The config of `job`; None where it must be composed."""
        changed = self._changed(job, parsed)
        every = [parsed[line] for line in job]
        if changed is None or _overlap(changed, every):
            return None
        own: dict[str, Any] = self._config.__dict__["_content"]
        kept = {name: own[name] for one in changed if (name := re.split(r"[.\[]", one.key_or_group)[0]) in own}
        try:
            own.update({name: copy.deepcopy(node) for name, node in kept.items()})
            if not self._set(changed, [override for override in every if not override.is_hydra_override()]):
                return None
            adapt(self._config)
            return self.composed(kept)
        finally:
            own.update(kept)

    def _changed(self, job: Sequence[str], parsed: Mapping[str, Override]) -> list[Override] | None:
        """The overrides of `job` that set other values than this one has; None where there are other differences."""
        if len(self._job) != len(job):
            return None
        pairs = [(parsed[old], parsed[new]) for old, new in zip(self._job, job, strict=True)]
        fit = all(old is new or _is_other_value(old, new) for old, new in pairs)
        return [new for old, new in pairs if old is not new] if fit else None

    def _set(self, changed: Sequence[Override], overrides: Sequence[Override]) -> bool:
        """Set the values that differ, and what Hydra says of the overrides where a value is that; whether they fit."""
        config = self._config
        try:
            for override in changed:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
        except OmegaConfBaseException:  # Hydra says it better
            return False
        if self._asks_hydra or _name_hydra(changed):
            config.hydra.overrides.task = [override.input_line for override in overrides]
            form = config.hydra.job.config.override_dirname
            config.hydra.job.override_dirname = get_overrides_dirname(
                overrides=list(overrides), kv_sep=form.kv_sep, item_sep=form.item_sep, exclude_keys=form.exclude_keys
            )
        return True


class _Master(_Kind):
    """The config of the sweep itself: that of each job but for what is swept, where that is values alone."""

    def __init__(self, config: DictConfig, parser: OverridesParser) -> None:
        super().__init__((), copy.deepcopy(config))
        self._applied = {line: parser.parse_override(line) for line in config.hydra.overrides.task}
        choices = OmegaConf.to_container(config.hydra.runtime.choices)
        assert isinstance(choices, dict)
        self._whole = "???" not in choices.values()  # what a job must choose a sweep need not

    def _changed(self, job: Sequence[str], parsed: Mapping[str, Override]) -> list[Override] | None:
        swept = all(override.is_sweep_override() for line, override in self._applied.items() if line not in job)
        changed = [parsed[line] for line in job if line not in self._applied]
        fit = swept and self._whole and all(map(_is_value, changed))
        return changed if fit and not self._asks_hydra and not _name_hydra(changed) else None

    def _set(self, changed: Sequence[Override], overrides: Sequence[Override]) -> bool:
        try:
            ConfigLoaderImpl._apply_overrides_to_config(list(changed), self._config)
        except (OmegaConfBaseException, HydraException):  # it says it once more, of the job
            return False
        return True


def _name_hydra(overrides: Sequence[Override]) -> bool:
    """Whether a value may refer to one of Hydra's own."""
    return any("hydra" in str(override.input_line) for override in overrides)


def _unresolved(config: DictConfig, key: Any) -> str:
    """A top-level value as text that shows what it refers to."""
    if OmegaConf.is_interpolation(config, key):
        return str(OmegaConf.to_container(OmegaConf.masked_copy(config, str(key)), resolve=False))
    value = config[key]
    return str(OmegaConf.to_container(value, resolve=False) if OmegaConf.is_config(value) else value)


def _is_other_value(old: Override, new: Override) -> bool:
    """Whether two overrides set one key to values that replace each other."""
    return old.key_or_group == new.key_or_group and old.type == new.type and _is_value(old) and _is_value(new)


def _is_value(override: Override) -> bool:
    """Whether an override sets a key to a value that replaces another. A key with a dot is no config group."""
    return (
        "." in override.key_or_group
        and not (override.is_delete() or override.is_hydra_override() or override.is_sweep_override())
        and not isinstance(override.value(), dict)  # which is merged
    )


def _overlap(changed: Sequence[Override], every: Sequence[Override]) -> bool:
    """Whether another override is about a changed key, what is in it, or what it is in: then their order counts."""
    for one in changed:
        key = f"{one.key_or_group}."
        others = (f"{other.key_or_group}." for other in every if other is not one)
        if any(key.startswith(other) or other.startswith(key) for other in others):
            return True
    return False
