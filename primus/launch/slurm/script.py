"""The batch script of a job, complete. Pure: `dry_run` prints what sbatch would get."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from primus.launch.problems import BadRequest
from primus.launch.slurm.options import OWN, Settings, directives
from primus.node import rundir

NAME = "job.sbatch"
"""The script, in the run directory."""


def build(
    settings: Settings, directory: Path, command: Sequence[str], array: str | None = None, log: str | None = None
) -> str:
    """The script that runs `command`, the job's first process, with `directory` as its working directory.

    `array` are the indices of a job array, as sbatch takes them; `log` is relative to the directory, None: as in a run.
    Raises BadRequest for what cannot be written so that Slurm and the shell read it back unchanged.
    """
    log = log or f"{'' if array is None else '%a/'}{rundir.JOB_LOG}"
    options = [*directives(settings, directory.name), *([("array", array)] if array else [])]
    options += [("chdir", str(directory)), ("output", f"{_no_pattern(directory)}/{log}")]
    options += [("open-mode", "append"), ("export", "ALL")]
    lines = ["#!/bin/bash", *(_directive(name, value) for name, value in options)]
    lines += [f"{shell_words(words, 'runtime.setup')} || exit" for words in settings.setup]
    return "\n".join([*lines, f"exec {shell_words(command, 'the command')}", ""])


def environment(environ: Mapping[str, str], script: str) -> dict[str, str]:
    """The environment for sbatch, which the job gets too.

    Of an allocation that this command itself runs in it must see nothing. To sbatch a variable counts for more than an
    option of the script: none may stand against one that is there, or that Primus leaves out on purpose.
    """
    stated = {*re.findall(r"^#SBATCH --([a-z0-9-]+)", script, re.M), *OWN, "clusters"}
    if stated & set(_MEMORY):
        stated |= set(_MEMORY)
    dropped = {f"SBATCH_{_VARIABLES.get(name, _upper(name))}" for name in stated}
    return {
        name: value
        for name, value in environ.items()
        if name not in dropped and (not name.startswith("SLURM_") or name in _OF_THE_CLUSTER)
    }


_OF_THE_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_TIME_FORMAT", "SLURM_CONF_SERVER")
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
"""Options that exclude each other."""
_VARIABLES = {
    "time": "TIMELIMIT",
    "array": "ARRAY_INX",
    "mem": "MEM_PER_NODE",
    "verbose": "DEBUG",
    "switches": "REQ_SWITCH",
    "cpu-freq": "CPU_FREQ_REQ",
    "bb": "BURST_BUFFER",
}
"""Input variables of sbatch (22.05) that are not named after their option."""


def _no_pattern(directory: Path) -> str:
    """A path in which Slurm replaces nothing. Raises BadRequest where no path can be written so."""
    if "\\" in str(directory):
        raise BadRequest(f"output.root: Slurm takes a backslash out of the path of a log: {directory}")
    return str(directory).replace("%", "%%")


def shell_words(words: Sequence[str], what: str) -> str:
    """Words of a command line, quoted for the shell. Raises BadRequest for what no line can hold."""
    for word in words:
        if "\n" in word or "\0" in word:
            raise BadRequest(f"{what}: {word!r} cannot stand in a batch script: it has a line break or a zero byte")
    return shlex.join(words)


def _directive(name: str, value: str | None) -> str:
    """`#SBATCH --name=value`; sbatch takes quotes and backslashes as a shell does, expands nothing."""
    if value is None:
        return f"#SBATCH --{name}"
    if "\n" in value or "\0" in value:
        raise BadRequest(f"--{name}={value!r} cannot stand in a batch script: it has a line break or a zero byte")
    if re.fullmatch(r"[\w./:=,@+%\[\]-]+", value, re.ASCII):
        return f"#SBATCH --{name}={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'#SBATCH --{name}="{escaped}"'


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
