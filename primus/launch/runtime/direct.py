"""This machine: the node agent is a child of the command."""

from dataclasses import dataclass

from primus.launch.place import Place
from primus.node.typed import bounded


@dataclass(frozen=True)
class Settings:
    """More `nodes` than one can be planned and shown; to run them needs a runtime that can reach the others."""

    name: str
    nodes: int = bounded(least=1)


def command(settings: Settings, place: Place) -> tuple[str, ...]:
    """What the launch side starts; `{primus.run_dir}` is the run directory."""
    agent = (place.python, "-I", "-S", str(place.primus / "node" / "__main__.py"))  # no site packages: 10 ms sooner
    return (*agent, "--plan", "{primus.run_dir}/plan.json", "--node-rank", "0")
