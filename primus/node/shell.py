"""`--shell`: in the place of the ranks, a program at the terminal, in the environment of the node's first rank.

It takes this process's place: the terminal, its signals and the exit status are the program's own.
"""

import os
import sys
from pathlib import Path
from typing import Mapping, Sequence, Tuple

from primus.node import process, rundir
from primus.node.arguments import Arguments
from primus.node.devices import NoDevices
from primus.node.outcome import BAD_REQUEST, UNFIT
from primus.node.plan import Plan, from_json
from primus.node.prepare import prepare

_SHELLS = ("/bin/bash", "/bin/sh")


def run(arguments: Arguments) -> int:
    """Become the program; returns, with an exit code, only where that cannot be."""
    directory = arguments.plan.parent
    try:
        plan = from_json(arguments.plan.read_text(encoding="utf-8"))
        part = prepare(plan, directory, arguments.node_rank, arguments.devices, os.environ)
    except NoDevices as error:
        return _refuse(str(error), UNFIT)
    except (OSError, ValueError) as error:
        return _refuse(str(error), BAD_REQUEST)
    if part.warning:
        print(f"primus: {part.warning}", file=sys.stderr)
    rank = part.commands[0]
    (directory / rundir.rank_metrics(rank.rank)).parent.mkdir(parents=True, exist_ok=True)
    try:
        process.become(program(plan, rank.argv), env=rank.environ, cwd=rank.directory)
    except OSError as error:
        return _refuse(f"cannot run {rank.argv[0]} in {rank.directory}: {error.strerror}", UNFIT)
    return BAD_REQUEST  # not reached


def program(plan: Plan, argv: Sequence[str]) -> Tuple[str, ...]:
    """What is run: the command that was asked for, else the user's shell, or one that this node (its image) has."""
    task: Mapping[str, object] = plan.config.get("task") or {}
    if task.get("command") is not None or Path(argv[0]).is_file():
        return tuple(argv)
    return (next((shell for shell in _SHELLS if Path(shell).is_file()), argv[0]),)


def _refuse(message: str, code: int) -> int:
    print(f"primus: {message}", file=sys.stderr)
    return code
