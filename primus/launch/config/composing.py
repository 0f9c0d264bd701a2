"""The configs of the jobs of a sweep. Hydra composes each from its files, in 75 ms; most differ in a value or two."""

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def every(loader: Any, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[DictConfig]:
    """What `loader.load_sweep_config(master, overrides)` of Hydra 1.3.8 gives for each job, in a tenth of the time.

    A job that differs from an earlier one by values alone is a copy of its config with those values set. Any other,
    and any whose values do not fit, Hydra itself composes, or refuses.
    """
    parser = OverridesParser.create(config_loader=loader)
    parsed: dict[str, Override] = {}
    for line in dict.fromkeys(line for job in jobs for line in job):
        parsed[line] = parser.parse_override(line)
    composed: list[tuple[Sequence[str], DictConfig]] = []  # one of each kind
    configs = []
    for job in jobs:
        config = next((made for known, one in composed if (made := _copy(known, one, job, parsed)) is not None), None)
        if config is None:
            config = loader.load_sweep_config(master, list(job))
            composed.append((job, copy.deepcopy(config)))
        configs.append(config)
    return configs


def _copy(known: Sequence[str], one: DictConfig, job: Sequence[str], parsed: dict[str, Override]) -> DictConfig | None:
    """The config of `job` by `one`, that of the job `known`; None where it must be composed."""
    if len(known) != len(job):
        return None
    pairs = [(parsed[old], parsed[new]) for old, new in zip(known, job, strict=True)]
    changed = [new for old, new in pairs if old is not new]
    if not all(old is new or _is_other_value(old, new) for old, new in pairs) or _overlap(changed, pairs):
        return None
    config = copy.deepcopy(one)
    try:
        for override in changed:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
        own = [new for _, new in pairs if not new.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in own]
        form = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=own, kv_sep=form.kv_sep, item_sep=form.item_sep, exclude_keys=form.exclude_keys
        )
    except OmegaConfBaseException:  # Hydra says it better
        return None
    return config


def _is_other_value(old: Override, new: Override) -> bool:
    """Whether two overrides set one key to values that replace each other. A key with a dot is no config group."""
    return (
        old.key_or_group == new.key_or_group
        and old.type == new.type
        and "." in new.key_or_group
        and not (new.is_delete() or new.is_hydra_override() or new.is_sweep_override())
        and not any(isinstance(override.value(), dict) for override in (old, new))  # which are merged
    )


def _overlap(changed: Sequence[Override], pairs: Sequence[tuple[Override, Override]]) -> bool:
    """Whether another override is about a changed key, what is in it, or what it is in: then their order counts."""
    for one in changed:
        key = f"{one.key_or_group}."
        others = (f"{new.key_or_group}." for _, new in pairs if new is not one)
        if any(key.startswith(other) or other.startswith(key) for other in others):
            return True
    return False
