"""`task=env`: every variable that the first rank of a job would get on this machine, who set it, what it overrode.

It is planned as a job is, so that the same functions resolve the same environment; nothing is started or written. What
hooks and patch files set is known once they have run: they are named.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from primus.launch import show
from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.hooks import finding
from primus.launch.place import Place
from primus.launch.problems import OK
from primus.launch.replaying.original import Original
from primus.launch.task import Work
from primus.node import environment, profile, rdma
from primus.node.environment import Resolved
from primus.node.plan import Plan
from primus.node.secrets import is_secret
from primus.node.typed import plain

if TYPE_CHECKING:
    from primus.launch.run import Ended

AGENT = "node agent"
_AT_START = (
    "MASTER_ADDR",
    "MASTER_PORT",
    "PRIMUS_HEARTBEAT",
    "PRIMUS_METRICS",
    "PRIMUS_RUN_DIR",
    "PRIMUS_RUN_ID",
    "PRIMUS_STOP_FILE",
)


@dataclass(frozen=True)
class Settings:
    """`format`: for people, or JSON."""

    name: str
    format: Literal["text", "json"]


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """No command, and what the backend gives its ranks."""
    backend = typed(Backend, request.backend, "backend", source)
    return Work((), backend=backend.name, environment=backend.environment)


def single(
    plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None
) -> "Ended":
    """Print it."""
    from primus.launch.run import Ended

    found = profile.choose(plan.environment, place.devices)
    world = environment.lay_out(plan.job, place.devices, 0)
    base, resolved = show.base_and_resolved(plan, place, world)
    every = of_rank(base, resolved, world)
    hooks = finding.before_any_task(request, place)
    if request.task["format"] == "json":
        json.dump(_data(plan, place, found.profile, every, hooks), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print("\n".join(map(_line, every)))
        if hooks:
            print(f"hooks and patch files that may set more when a job of their task starts: {', '.join(hooks)}")
    return Ended(OK, None)


def of_rank(base: Mapping[str, str], resolved: tuple[Resolved, ...], world: environment.World) -> tuple[Resolved, ...]:
    """Every variable of the first rank, sorted, as it may be written down; `base` is the environment of the agent.

    An empty value of the agent's own is one that it decides on when the job starts.
    """
    inherited = tuple(Resolved(n, v, environment.SHELL, secret=is_secret(n)) for n, v in base.items())
    ours = {variable.name for variable in resolved}
    all_of = (*(v for v in inherited if v.name not in ours), *resolved)
    defining = {**environment.for_rank({}, (), world, 0, {}), **dict.fromkeys(_AT_START, "")}
    return tuple(v.redacted() for v in environment.prevail(all_of, defining, AGENT, {}))


def _line(variable: Resolved) -> str:
    over = ", ".join(f"{lost.value} of {lost.origin}" for lost in variable.overrode)
    value = "(known when it starts)" if _is_open(variable) else variable.value
    return f"{variable.name}={value}  <- {variable.origin}" + (f", over {over}" if over else "")


def _is_open(variable: Resolved) -> bool:
    return variable.origin == AGENT and not variable.value


def _data(
    plan: Plan, place: Place, profile_name: str, every: tuple[Resolved, ...], hooks: tuple[str, ...]
) -> dict[str, Any]:
    ports: tuple[rdma.Port, ...] = show.ports(plan, place)
    return {
        "devices": plain(place.devices),
        "gpu_profile": profile_name or None,
        "rdma": plain(ports),
        "environment": [
            {
                "name": v.name,
                "value": None if _is_open(v) else v.value,
                "origin": v.origin,
                "overrode": plain(v.overrode),
            }
            for v in every
        ],
        "hooks": hooks,
    }
