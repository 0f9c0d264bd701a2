"""What a run stands on: device, driver, interpreter, packages, git commit, environment; then and now."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch.place import Place
from primus.launch.replaying.finding import SavedRun
from primus.node import environment, process
from primus.node.container import engine
from primus.node.packages import QUESTION, interpreter
from primus.node.plan import Plan

_SECONDS = 20.0
"""Time limit for another interpreter to say which packages it has."""


@dataclass(frozen=True)
class Surroundings:
    """Each value as text; `packages` and `environment` by name. Empty: not known.

    Of what is in an image nothing is known outside of it; the environment is None then.
    """

    device: str
    driver: str
    python: str
    commit: str
    packages: Mapping[str, str]
    environment: Mapping[str, str] | None
    image: str = ""


def recorded(run: SavedRun) -> Surroundings:
    """What the first node of a recorded run wrote down."""
    facts = run.nodes[0] if run.nodes else {}
    devices = facts.get("devices") or {}
    interpreter = facts.get("interpreter") or {}
    variables = {v["name"]: v["value"] for v in facts.get("environment") or []}
    return Surroundings(
        device=_device(devices, facts.get("cpu") or {}),
        driver=str(devices.get("driver") or ""),
        python=str(interpreter.get("version") or ""),
        commit=run.plan.code.commit or "",
        packages=facts.get("packages") or {},
        environment=variables,
        image=str((facts.get("container") or {}).get("digest") or ""),
    )


def here(plan: Plan, place: Place) -> Surroundings:
    """This machine, as a run of this plan would find it. Asks the ranks' interpreter for its packages."""
    from primus.node import host
    from primus.node.prepare import variables
    from primus.node.typed import plain

    cpu, world = host.survey(), environment.lay_out(plan.job, place.devices, 0)
    resolved = variables(plan, Path(plan.directory), place.devices, world, cpu.cores, place.environ)
    told = _ask(plan.job.command) if plan.job.command and not plan.container else {}
    return Surroundings(
        device=_device(plain(place.devices), plain(cpu)),
        driver=place.devices.driver,
        python=str(told.get("version") or ""),
        commit=plan.code.commit or "",
        packages=told.get("packages") or {},
        environment=None
        if plan.container
        else {v.name: v.value for v in environment.recorded(resolved, place.environ)},
        image=_image(plan),
    )


def _image(plan: Plan) -> str:
    """The digest of the plan's image as it is here; empty where that cannot be told: the start says why."""
    with contextlib.suppress(engine.NoEngine, engine.NoImage):
        return str(engine.image_of(plan.container, os.environ)["digest"] or "") if plan.container else ""
    return ""


def _device(devices: Mapping[str, Any], cpu: Mapping[str, Any]) -> str:
    if devices.get("count"):
        return f"{devices['count']} x {devices.get('model')}"
    return f"{cpu.get('model')}, {cpu.get('cores')} cores"


def _ask(command: Sequence[str]) -> dict[str, Any]:
    is_python = command[0].rpartition("/")[2].startswith("python")
    answer = process.ask([*interpreter(command), "-c", QUESTION], _SECONDS) if is_python else None
    try:
        told = json.loads(answer or "{}")
    except ValueError:
        told = {}
    return told if isinstance(told, dict) else {}
