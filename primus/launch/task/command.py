"""`task=command`: any program as the ranks of a job, with Primus's rendezvous, logs, record and replay."""

from dataclasses import dataclass

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work


@dataclass(frozen=True)
class Settings:
    """`command` is the program and its arguments, not a line for a shell."""

    name: str
    command: tuple[str, ...]


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The command as it stands; `{rank}`-like text in it is not touched, ranks read their environment."""
    if not task.command:
        raise BadRequest("task.command is empty: give a program and its arguments, task.command=[python,script.py]")
    return Work(task.command)
