"""`task=acme/greet`: the smallest task that runs on nodes."""

from dataclasses import dataclass

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work

_SCRIPT = 'echo "hello $1, this is rank $RANK of $WORLD_SIZE; stamped: ${ACME_STAMP:-not}"'


@dataclass(frozen=True)
class Settings:
    """The YAML file of the task, typed."""

    name: str
    whom: str


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """What each rank runs. Raises BadRequest."""
    if not task.whom:
        raise BadRequest("task.whom is empty: give somebody to greet")
    return Work(("sh", "-c", _SCRIPT, "greet", task.whom))
