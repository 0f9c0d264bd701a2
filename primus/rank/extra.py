"""Arguments of the framework that hooks ask for (`extra.a.b=v`): over what the config says, below `backend.args`.

The node agent keeps those back that would change what the user typed, where the translation of the neutral terms shows
it. Any other value of the config that a hook changes is said in the rank's log.
"""

import json
import os
import sys
from typing import Any

from primus.rank.problems import Refused

VARIABLE = "PRIMUS_EXTRA"  # primus.node.hooks.protocol


def take(rank: dict[str, Any]) -> None:
    """Put them below the user's own. Raises Refused where there is no place for any."""
    if asked() and "args" not in rank:
        raise Refused(f"{_listed()}: this task takes no arguments")
    if asked():
        rank["args"] = {**asked(), **rank["args"]}


def asked() -> dict[str, Any]:
    """Those of all hooks."""
    return {name: one["value"] for name, one in _told().items()}


def key(name: str) -> str:
    """How a message names an argument: `backend.args.a.b`, or by the hook that asked for it."""
    hook = _hook(name)
    return f"extra.{name} of hook {hook}" if hook else f"backend.args.{name}"


def keys() -> str:
    """How a message names all arguments together."""
    return f"backend.args and {_listed()}" if asked() else "backend.args"


def tell(name: str, value: Any, before: Any) -> None:
    """Say that a hook changes a value, where one does."""
    if _hook(name) and value != before:
        print(f"primus: {key(name)}: {value!r} in place of {before!r}", file=sys.stderr, flush=True)


def _hook(name: str) -> str | None:
    """The hook that asked for it, alone or with others: `extra.training={"steps": 3}`."""
    return next((one["hook"] for own, one in _told().items() if f"{name}.".startswith(f"{own}.")), None)


def _listed() -> str:
    return ", ".join(f"extra.{name} of hook {one['hook']}" for name, one in _told().items())


def _told() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(os.environ.get(VARIABLE, "{}"))
    return found
