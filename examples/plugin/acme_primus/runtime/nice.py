"""`runtime=nice`: as runtime=direct, with a lower priority."""

from dataclasses import dataclass

from primus.launch.place import Place
from primus.launch.runtime import direct
from primus.node.typed import bounded


@dataclass(frozen=True)
class Settings:
    """The YAML file of the runtime, typed."""

    name: str
    nodes: int = bounded(least=1)
    level: int = bounded(least=1, most=19)


def command(settings: Settings, place: Place) -> tuple[str, ...]:
    """What the launch side starts."""
    return ("nice", "-n", str(settings.level), *direct.command(direct.Settings("direct", settings.nodes), place))
