"""`~/.primus.yaml`: the defaults that AMD's primus-cli reads for its runners, as flags before those that are typed.

Sections and keys are those of runner/.primus.yaml in AMD-AGI/Primus (v26.5): what is a flag there by its name is the
same flag here. Flags that are typed win, those that may be given several times add up, as there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from primus.launch.cli.flags import Flag, Given
from primus.launch.cli.grammar import Line
from primus.launch.cli.launchers import CONTAINER, DEBUG, DIRECT, DRY_RUN, ENV, PATCH, SLURM
from primus.launch.config import base60
from primus.launch.problems import BadRequest

NAME = ".primus.yaml"
_BOTH = {"debug": DEBUG, "dry_run": DRY_RUN}
_GIVEN = ("/dev/kfd", "/dev/dri", "/dev/infiniband")
"""Devices that a container gets by itself, where the node has them."""
_RANKS = Flag(("gpus_per_node",), "ranks_per_node")
_NUMA = Flag(("numa",), "node.numa", "text")
_ELSEWHERE = {
    "master_port": "a free port is found; env.set.MASTER_PORT=<port> for one of yours",
    "master_addr": "that of the first node is found",
    "nnodes": "the nodes are those of slurm.nodes",
    "script_path": "a program of your own is: -- command task.command='python script.py'",
    "log_file": "the run directory has every log",
}


@dataclass(frozen=True)
class Defaults:
    """Flags, and in words what became of keys that are none: `unknown` to nobody, `left` for a reason."""

    given: tuple[Given, ...] = ()
    unknown: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Left:
    """A key that sets nothing: why; empty where it is not known."""

    key: str
    why: str = ""


def read(home: Path, line: Line) -> Defaults:
    """What the file says for a command line, by the parts that it has. Raises BadRequest for one that is none."""
    path = home / NAME
    base60.keep_text()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Defaults()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return Defaults()
    if not isinstance(content, dict) or not all(isinstance(part or {}, dict) for part in content.values()):
        raise BadRequest(f"{path}: must hold sections main, slurm, container, direct, with keys in each")
    found = [one for section, keys in content.items() for one in _section(str(section), keys or {}, line)]
    return Defaults(
        tuple(one for one in found if isinstance(one, Given)),
        tuple(f"{path}: {one.key}: there is no such key" for one in found if isinstance(one, _Left) and not one.why),
        tuple(f"{path}: {one.key}: not taken: {one.why}" for one in found if isinstance(one, _Left) and one.why),
    )


def _section(name: str, keys: Mapping[str, Any], line: Line) -> Iterator[Given | _Left]:
    if name not in ("main", "slurm", "container", "direct"):
        yield _Left(name)
        return
    if (name == "slurm" and line.mode != "slurm") or (name == "container" and line.inside != "container"):
        return
    for key, value in keys.items():
        full = f"{name}.{key}"
        if value is None or value == "" or value == []:
            continue
        if key in _BOTH:
            yield from _switch(_BOTH[key], value, full)
        elif name == "slurm":
            yield from _flags(SLURM, str(key), value, full)
        elif name == "container" and key == "options" and isinstance(value, dict):
            for option, one in value.items():
                yield from _flags(CONTAINER, str(option), one, f"{full}.{option}")
        elif name == "direct":
            yield from _direct(str(key), value, full)
        else:
            yield _Left(full)


def _direct(key: str, value: Any, full: str) -> Iterator[Given | _Left]:
    if key == "gpus_per_node":
        yield Given(_RANKS, str(value))
    elif key == "numa":
        yield Given(_NUMA, "auto" if _is_true(value) or value == "auto" else "none")
    elif key == "run_mode":
        single = next(flag for flag in DIRECT if "--single" in flag.names)
        yield Given(single, "") if value == "single" else _Left(full, "Primus starts the ranks itself")
    elif key in ("patches", "env"):
        yield from _flags((PATCH, ENV), {"patches": "patch", "env": "env"}[key], value, full)
    else:
        yield _Left(full, _ELSEWHERE.get(key, ""))


def _flags(flags: tuple[Flag, ...], name: str, value: Any, full: str) -> Iterator[Given | _Left]:
    """One flag for a value, one for each of a list."""
    spelt = f"--{name.replace('_', '-')}"
    flag = next((flag for flag in flags if spelt in flag.names), None)
    if flag is None or isinstance(value, dict):
        yield _Left(full)
    elif flag.instead or flag.note:
        yield _Left(full, flag.instead or str(flag.note).partition(": ")[2])
    elif flag.takes == "nothing" or (flag.takes == "optional" and _is_truth(value)):
        yield from _switch(flag, value, full)
    else:
        for one in value if isinstance(value, list) else [value]:
            if spelt == "--device" and str(one) in _GIVEN:
                yield _Left(full, f"{one} is given where the node has it")
            elif one is not None and one != "":
                yield Given(flag, str(one))


def _switch(flag: Flag, value: Any, full: str) -> Iterator[Given | _Left]:
    if _is_true(value):
        yield Given(flag, "")
    elif value is not False and str(value).lower() not in ("false", "no", "0"):
        yield _Left(full, f"{value!r} is neither true nor false")


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or str(value).lower() in ("true", "false", "yes", "no")


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "yes", "1")
