"""This machine, in a container: the command is that of `direct`, the plan says what it is put in."""

from dataclasses import dataclass

from primus.launch.place import Place
from primus.launch.runtime import direct
from primus.node.typed import bounded


@dataclass(frozen=True)
class Settings:
    """As of `direct`."""

    name: str
    nodes: int = bounded(least=1)


def command(settings: Settings, place: Place) -> tuple[str, ...]:
    """What the launch side starts: the node starter, which is the agent's own program."""
    return direct.command(direct.Settings(settings.name, settings.nodes), place)
