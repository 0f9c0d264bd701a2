"""What one container is to be, before it is put in the words of an engine."""

from dataclasses import dataclass
from typing import Tuple

from primus.node.container.node import Node
from primus.node.plan import Container, Mount


@dataclass(frozen=True)
class Start:
    """One container on one node. `mounts` are all that it gets, `command` what runs in it, in `directory`.

    `interactive`: at a terminal, for a person; else its standard input is the agent's lifeline. `run` is for people who
    look for their containers.
    """

    container: Container
    node: Node
    name: str
    run: str
    mounts: Tuple[Mount, ...]
    directory: str
    command: Tuple[str, ...]
    interactive: bool = False
