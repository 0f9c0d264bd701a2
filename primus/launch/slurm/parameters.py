"""`hydra.launcher.<name>` of hydra/launcher=primus_slurm: hydra-submitit-launcher's parameters, as `runtime` has them.

Whatever reads the config afterwards knows those alone.
"""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from primus.launch.problems import BadRequest

LAUNCHER = "primus_slurm"

_SETTINGS = {
    **{name: name for name in ("nodes", "partition", "qos", "account", "constraint", "exclude", "gpus_per_node")},
    "timeout_min": "time",
    "cpus_per_task": "cpus",
    "signal_delay_s": "signal",
    "max_num_timeout": "max_restarts",
    "array_parallelism": "array_parallelism",
    "name": "job_name",
}
"""Theirs -> the setting of `runtime`."""
_OPTIONS = ("gres", "comment", "cpus_per_gpu", "mem_per_gpu", "mem_per_cpu")
"""Those that are options of sbatch without a setting."""
_INSTEAD = {
    "submitit_folder": "output.root",
    "tasks_per_node": "ranks_per_node",
    "gpus_per_task": "runtime.gpus_per_node",
    "setup": "runtime.setup, with a list of words for each command",
}
_AS_EVER = {"tasks_per_node": 1}


def take_over(config: DictConfig, launcher: DictConfig) -> None:
    """Set in `config.runtime` what is given in `launcher`, a part of Hydra's config. Raises BadRequest for a parameter
    to which nothing corresponds. `stderr_to_stdout` is always so."""
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key in map(str, launcher):
        if OmegaConf.is_interpolation(launcher, key):  # first: to look at one that is costs its resolution
            continue
        value = launcher[key]
        if value is None or value == _AS_EVER.get(key):
            continue
        if key in _INSTEAD:
            raise BadRequest(f"hydra.launcher.{key}: Primus does without it; use {_INSTEAD[key]}")
        if key == "mem_gb":
            settings["mem"] = f"{value}G"
        elif key == "additional_parameters":
            options |= {str(option).replace("_", "-"): given for option, given in value.items()}
        elif key in _OPTIONS:
            options[key.replace("_", "-")] = value
        elif key in _SETTINGS:
            settings[_SETTINGS[key]] = value
    given = [*settings, *options]
    if given and config.runtime.name != "slurm":
        raise BadRequest(f"hydra.launcher: {', '.join(given)} can be had with runtime=slurm alone")
    if options:
        settings["options"] = {**(config.runtime.options or {}), **options}
    for name, value in settings.items():
        config.runtime[name] = value
