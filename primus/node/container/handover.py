"""What the agent inside gets from outside, in one line on its standard input: nothing of it is on a command line.

After that line each byte is the number of a signal, and the end of the stream means that all outside is gone.
"""

import fnmatch
import json
import os
from typing import Any, Dict, Mapping, MutableMapping, Optional

from primus.node.devices import VISIBILITY
from primus.node.plan import Plan

CONTAINER = "PRIMUS_CONTAINER"
"""Variable inside: JSON of engine, image and digest."""

# Of the node's own environment. Not more: CUDA_HOME, PATH and their like are the image's. The user names others. The
# image need not know the user's number, and what asks for a name (torch's compile cache does) takes it from these.
_HANDED_ON = ("SLURM_*", "MLFLOW_*", *VISIBILITY, "USER", "LOGNAME")


def environment(plan: Plan, environ: Mapping[str, str]) -> Dict[str, str]:
    """What goes in: the plan's secrets, variables of Slurm, MLflow and devices, and those that the user named. With
    pyxis all does."""
    assert plan.container
    if plan.container.engine == "pyxis":
        return dict(environ)
    secrets = [v.name for layer in plan.environment for v in layer.variables if v.value is None]
    named = [name for name in plan.container.environment if "=" not in name]
    return {
        name: value
        for name, value in environ.items()
        if name in secrets or any(fnmatch.fnmatchcase(name, pattern) for pattern in (*_HANDED_ON, *named))
    }


def line(plan: Plan, environ: Mapping[str, str], identity: Mapping[str, Any]) -> bytes:
    """The line; `identity` is what the container is."""
    return json.dumps({"environment": environment(plan, environ), "container": identity}).encode() + b"\n"


def receive(fd: int, environ: MutableMapping[str, str]) -> None:
    """Read the line inside, byte by byte since more may follow, into `environ`. Raises ValueError for anything else."""
    text = b""
    while not text.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            raise ValueError("--inside: the input ended before its first line: what started this container is gone")
        text += byte
    try:
        told = json.loads(text)
    except RecursionError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("environment"), dict):
        raise ValueError("--inside: the first line of the input is none of Primus's")
    environ.update({str(name): str(value) for name, value in told["environment"].items()})
    environ[CONTAINER] = json.dumps(told.get("container"))


def identity(environ: Mapping[str, str]) -> Optional[Dict[str, Any]]:
    """What the container is that this process is in, as told by `receive`."""
    text = environ.get(CONTAINER)
    found: Optional[Dict[str, Any]] = json.loads(text) if text else None
    return found
