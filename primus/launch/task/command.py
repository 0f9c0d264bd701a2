"""`task=command`: any program as the ranks of a job, with Primus's rendezvous, logs, record and replay."""

import shlex
from dataclasses import dataclass

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work


@dataclass(frozen=True)
class Settings:
    """`command` is the program and its arguments: a list, or text that is split as a shell would, without a shell."""

    name: str
    command: tuple[str, ...] | str


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The command, byte for byte. Raises BadRequest for an empty one, or quotes that do not close."""
    try:
        words = shlex.split(task.command) if isinstance(task.command, str) else task.command
    except ValueError as error:
        raise BadRequest(f"task.command: {error}: {task.command}") from None
    if not words:
        raise BadRequest("task.command is empty: give a program and its arguments, task.command='python script.py'")
    return Work(tuple(words))
