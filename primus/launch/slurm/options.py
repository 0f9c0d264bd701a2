"""What sbatch is told: typed settings, and any other option by its long name."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from primus.launch.problems import WrongValue
from primus.node.digits import whole
from primus.node.typed import bounded


@dataclass(frozen=True)
class Settings:
    """conf/runtime/slurm.yaml. `signal` is in seconds; `cpus`, `mem` and `gpus_per_node` are for each node."""

    name: str
    nodes: int = bounded(least=1)
    partition: str | None = None
    time: str | None = None
    account: str | None = None
    qos: str | None = None
    gpus_per_node: str | None = None
    cpus: int | None = bounded(least=1, default=None)
    mem: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    nodelist: str | None = None
    reservation: str | None = None
    dependency: str | None = None
    array_parallelism: int | None = bounded(least=1, default=None)
    jobs_per_element: int = bounded(least=1, default=1)
    signal: int = bounded(least=0, most=65535, default=120)
    requeue: bool = False
    max_restarts: int = bounded(least=0, default=3)
    job_name: str | None = None
    output: str | None = None
    setup: tuple[tuple[str, ...], ...] = ()
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    detach: bool = False
    frozen: bool = True


TYPED = {
    "partition": "partition",
    "time": "time",
    "account": "account",
    "qos": "qos",
    "gpus_per_node": "gpus-per-node",
    "cpus": "cpus-per-task",
    "mem": "mem",
    "constraint": "constraint",
    "exclude": "exclude",
    "nodelist": "nodelist",
    "reservation": "reservation",
    "dependency": "dependency",
}
"""Settings that are an option of sbatch by themselves -> the option; Primus starts one task on each node."""

OWN = {
    "nodes": "runtime.nodes",
    "array": "a sweep (-m) and runtime.array_parallelism",
    "signal": "runtime.signal",
    "requeue": "runtime.requeue",
    "no-requeue": "runtime.requeue",
    "job-name": "runtime.job_name",
    "chdir": None,
    "export": "env.forward and env.set",
    "export-file": "env.forward and env.set",
    "error": "runtime.output: both are in it",
    "output": "runtime.output",
    "input": None,
    "open-mode": None,
    "ntasks": "ranks_per_node",
    "ntasks-per-node": "ranks_per_node",
    "ntasks-per-core": "ranks_per_node",
    "ntasks-per-gpu": "ranks_per_node",
    "ntasks-per-socket": "ranks_per_node",
    "parsable": None,
    "wait": "runtime.detach=false",
    "wrap": None,
    "test-only": "dry_run=true",
    "help": None,
    "usage": None,
    "version": None,
    "quiet": None,
    "verbose": None,
    "kill-on-invalid-dep": "runtime.options is not needed for it: a job that can never run is cancelled",
    "no-kill": None,
    **dict.fromkeys(("clusters", "cluster"), "another cluster's login node, or its configuration by SLURM_CONF"),
}
"""Options that Primus sets itself -> what to use instead, None where nothing can be chosen."""

_ALWAYS = {"kill-on-invalid-dep": "yes"}

NO_LIMIT = ("UNLIMITED", "INFINITE", "-1", "0")
"""Time limits that are none, as Slurm reads them."""


def directives(settings: Settings, run_id: str) -> list[tuple[str, str | None]]:
    """sbatch's long options with their values (None: it has none), in the order of the script.

    Raises WrongValue for what is no option of that form, or is Primus's own to set, and for a time limit that is none.
    """
    if settings.time is not None:
        check_time("runtime.time", settings.time, settings.signal)
    found: list[tuple[str, str | None]] = [
        ("job-name", settings.job_name or f"primus-{run_id}"),
        ("nodes", str(settings.nodes)),
        ("ntasks-per-node", "1"),
    ]
    for key, option in TYPED.items():
        value = getattr(settings, key)
        if value is not None:
            found.append((option, str(value)))
    if settings.signal:
        found.append(("signal", f"B:USR1@{settings.signal}"))
    found.append(("requeue" if settings.requeue else "no-requeue", None))
    found += [*_ALWAYS.items(), *_passed_through(settings.options)]
    for option, given in found:
        _check_text(option, given)
    return found


def _passed_through(options: Mapping[str, bool | int | float | str]) -> list[tuple[str, str | None]]:
    passed = []
    for name, value in options.items():
        key = f"runtime.options.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
            raise WrongValue(key, f"{name!r} is no long option of sbatch: its name without dashes before it, mail-type")
        if name in OWN:
            instead = OWN[name]
            raise WrongValue(key, f"Primus sets --{name} itself" + (f"; use {instead}" if instead else ""))
        typed = next((ours for ours, option in TYPED.items() if option == name), None)
        if typed:
            raise WrongValue(key, f"that is runtime.{typed}")
        if value is not False:
            passed.append((name, None if value is True else str(value)))
    return passed


def _check_text(option: str, value: str | None) -> None:
    if value is not None and (not value or not value.isprintable()):
        settings = {"job-name": "job_name", **{known: key for key, known in TYPED.items()}}
        key = f"runtime.{settings.get(option, f'options.{option}')}"
        raise WrongValue(key, f"{value!r} cannot stand in a batch script: one line of visible text")


def check_time(key: str, text: str, signal: int) -> None:
    """Raise WrongValue for what is no time limit, and for one that is over when its ranks are asked to save and end."""
    limit = 0 if text.upper() in NO_LIMIT else minutes(text)
    if limit is None:
        raise WrongValue(key, f"{text!r} is no time limit: minutes, 4:00:00, 2-00:00:00")
    whole_minutes = math.ceil(limit)  # as Slurm takes it
    if 0 < whole_minutes * 60 <= signal:
        told = f"{whole_minutes} minute{'s' if whole_minutes > 1 else ''}"
        raise WrongValue(
            key,
            f"{told} is no longer than runtime.signal={signal} s, by which ranks are asked to save and end before the "
            "limit: they would end at once. Give it more time, or a shorter runtime.signal (0: they are not asked)",
        )


def minutes(text: str) -> float | None:
    """A time limit of Slurm's in minutes: `30`, `30:00`, `4:00:00`, `2-12`, `2-12:30:00`; None for any other word."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(whole(part) for part in parts) or (dash and not whole(days)) or len(parts) > 3:
        return None
    numbers = [int(part) for part in parts]
    if dash:
        hours, mins, seconds = [*numbers, 0, 0][:3]
        return int(days) * 1440 + hours * 60 + mins + seconds / 60
    if len(numbers) == 3:
        return numbers[0] * 60 + numbers[1] + numbers[2] / 60
    return numbers[0] + (numbers[1] / 60 if len(numbers) == 2 else 0)
