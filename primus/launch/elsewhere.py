"""Launchers that are not Primus's own, as `hydra/launcher=submitit_slurm`: they hand each job of a sweep, its config
and the task function, to another process in a file (submitit 1.5.4: a pickle under .submitit/)."""

import contextlib
from collections.abc import Iterator
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from primus.launch.confidential import holds_secret, is_confidential
from primus.launch.config.arguments import key_of
from primus.launch.problems import BadRequest, JobFailed

_GROUP = "hydra/launcher"
_HERE = ("primus", "primus_slurm", "basic")
"""Those that call the task function in this process."""


def launcher(config: DictConfig) -> str | None:
    """The choice of such a launcher in the config of a sweep; None for one that runs in this process."""
    choice = str(config.hydra.runtime.choices.get(_GROUP))
    return None if choice in _HERE else choice


def check(config: DictConfig) -> None:
    """Raise BadRequest for what no job in another process can do: show a plan here, or keep a secret off the disk."""
    choice = launcher(config)
    if choice is None:
        return
    if config.dry_run:
        raise BadRequest(
            f"dry_run: {_GROUP}={choice} starts a process for each job before Primus can plan it: "
            f"leave out {_GROUP} for a dry run"
        )
    for key in _secrets(config):
        raise BadRequest(
            f"{key}: {_GROUP}={choice} writes what its jobs are given to disk, secrets in clear: "
            "export it, and hand it on by name with env.forward=[NAME]"
        )


def _secrets(config: DictConfig) -> Iterator[str]:
    yield from (key_of(override) for override in config.hydra.overrides.task if holds_secret(override))
    given = config.env.set
    for name in given:
        if not OmegaConf.is_interpolation(given, name) and is_confidential(str(name), str(given[name])):
            yield f"env.set.{name}"


@contextlib.contextmanager
def failing(config: DictConfig) -> Iterator[None]:
    """Say in a sentence what such a launcher raises of its own: a job that was killed, no sbatch. Raises JobFailed."""
    try:
        yield
    except RuntimeError as error:
        choice = launcher(config)
        if choice is None:
            raise
        raise JobFailed(f"{_GROUP}={choice}: {str(error).strip() or type(error).__name__}") from error


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Every sweep is checked as soon as its config is composed, whichever sweeper it has: Hydra 1.3.8 makes that then.
    Its callbacks would come sooner, but it keeps what they raise to itself."""
    before = Plugins.instantiate_sweeper

    def instantiate(self: Plugins, *, config: DictConfig, **rest: Any) -> Sweeper:
        check(config)
        return before(self, config=config, **rest)

    name = before.__name__
    setattr(Plugins, name, instantiate)
    try:
        yield
    finally:
        setattr(Plugins, name, before)
