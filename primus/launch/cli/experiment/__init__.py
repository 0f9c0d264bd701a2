"""The files that `--config` takes: what kind each is, and overrides for what it says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch.cli.experiment import files, maxtext, megatron, native, primus_yaml, torchtitan
from primus.launch.cli.experiment.ledger import Told
from primus.launch.cli.experiment.models import model
from primus.launch.problems import BadRequest

__all__ = ["Experiment", "load", "model", "none"]

FRAMEWORKS = {"megatron": megatron, "torchtitan": torchtitan, "maxtext": maxtext}
_LAUNCHER = {"main", "slurm", "direct"}  # sections of AMD's ~/.primus.yaml (runner/.primus.yaml)
# Sections that a TOML of TorchTitan has and no config of ours (torchtitan/config/job_config.py before 0.3).
_TORCHTITAN = {
    "job",
    "training",
    "optimizer",
    "lr_scheduler",
    "parallelism",
    "metrics",
    "activation_checkpoint",
    "comm",
}


@dataclass(frozen=True)
class Experiment:
    """A file of `--config`. `options`: names of its framework that may be typed after the task as well.

    `translate` takes those that were, and gives the overrides.
    """

    path: Path
    options: tuple[str, ...]
    translate: Callable[[Mapping[str, Any]], Told]


def none() -> Experiment:
    """Without a file."""
    return Experiment(Path(), (), lambda typed: Told())


def load(path: Path, environ: Mapping[str, str]) -> Experiment:
    """Read a file. Raises BadRequest for one that is not there or is none of the kinds."""
    content = files.read(path)
    if "modules" in content:
        found = primus_yaml.read(path, content, environ, FRAMEWORKS)
        return Experiment(path, found.options, found.translate)
    if path.suffix == ".toml" and _TORCHTITAN & set(content):
        return Experiment(path, tuple(torchtitan.NAMES), lambda typed: torchtitan.of_toml(content, typed))
    if _LAUNCHER & set(content):
        raise BadRequest(
            f"--config {path}: defaults of AMD's launcher (main, slurm, container, direct) are no experiment: "
            "give them as flags, or in an experiment of Primus as runtime: and container:"
        )
    return Experiment(path, (), lambda typed: native.told(path, content))
