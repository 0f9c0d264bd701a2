"""The node agent in a container: what starts it on the host of a node, and what it gets when it is inside."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from primus.node.plan import Plan

ENGINES = ("docker", "podman", "apptainer", "pyxis")
"""In the order in which one is taken when none was chosen; pyxis is Slurm's and has to be named."""


def wanted(plan: Path, known: "Optional[Plan]" = None) -> bool:
    """Whether the agent of this plan has to be put in a container first; pyxis has done it already. `known` is the plan
    where it has been read.

    False for a plan that cannot be read: the agent says why.
    """
    if known:
        return known.container is not None and known.container.engine != "pyxis"
    try:
        container = json.loads(plan.read_text(encoding="utf-8")).get("container")
        return bool(container) and container["engine"] != "pyxis"
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False
