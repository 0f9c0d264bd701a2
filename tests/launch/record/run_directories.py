"""Run directories made by hand, as the launch side and the agents leave them."""

import json
from pathlib import Path
from typing import Any

from primus.node import rundir
from primus.node.plan import SCHEMA, Code, Job, Layer, Plan, Variable, to_json

START = 1_780_000_000.0
"""Time of step 0, seconds since the epoch; a step takes half a second."""


def make_run(
    directory: Path,
    *,
    nodes: int = 1,
    config: dict[str, Any] | None = None,
    sweep: str | None = None,
    replay_of: str | None = None,
    overrides: tuple[str, ...] = ("model=tiny", "task.steps=20"),
    backend: str = "torchtitan",
) -> Plan:
    """A run that has just started: the files that the launch side writes before the agents start."""
    plan = Plan(
        schema=SCHEMA,
        run_id=directory.name,
        directory=str(directory),
        task="train/pretrain",
        backend=backend,
        config=config
        or {"experiment": {"name": directory.parent.name}, "task": {"steps": 20, "lr": 0.003}, "data": {"files": []}},
        overrides=overrides,
        code=Code(directory="/src", commit="0123456789abcdef0123456789abcdef01234567"),
        job=Job(nodes, 2, ("python", "-m", "train"), "/src", "auto", {"tensor": 1}, "0", 10.0, 2.0),
        environment=(Layer("user", (Variable("HF_TOKEN", None, "env.set.HF_TOKEN"),)),),
        files=(),
        command=("python3", "-m", "primus.node.agent"),
        sweep=sweep,
        replay_of=replay_of,
    )
    rundir.write_text(directory / rundir.CONFIG, "task: {steps: 20}\n")
    rundir.write_text(directory / rundir.OVERRIDES, "- model=tiny\n- task.steps=20\n")
    rundir.write_json(directory / "code/revision.json", {"commit": plan.code.commit, "dirty": False, "untracked": []})
    rundir.write_text(directory / rundir.LAUNCH_LOG, "started\n")
    rundir.write_text(directory / rundir.PLAN, to_json(plan))
    for node in range(nodes):
        rundir.write_json(directory / rundir.node_facts(node), report(node))
    return plan


def report(node: int, outcome: dict[str, Any] | None = None) -> dict[str, Any]:
    """What an agent says of its node; with `outcome`, what it says at the end."""
    found = {
        "node_rank": node,
        "host": f"gpu{node:02}",
        "time": START,
        "python": "3.11.7",
        "devices": {"vendor": "nvidia", "model": "NVIDIA H200", "count": 2, "visible": ["0", "1"], "driver": "580.65"},
        "environment": [{"name": "HF_TOKEN", "value": "***", "origin": "user", "overrode": []}],
        "packages": {"torch": "2.13.0", "torchtitan": "0.3.0", "Jinja2": "3.1.6"},
        "world_size": 2,
        "ranks_per_node": 2,
    }
    return {**found, "outcome": outcome} if outcome else found


def write_metrics(directory: Path, steps: range, *, rank: int = 0, **more: float) -> None:
    """Append lines of a rank's metrics, as its worker does."""
    lines = "".join(
        json.dumps({"time": START + step / 2, "step": step, "loss": 4.0 - step / 1000, "lr": 0.003, **more}) + "\n"
        for step in steps
    )
    append(directory / rundir.rank_metrics(rank), lines)


def write_host_metrics(directory: Path, samples: int, *, node: int = 0) -> None:
    """Append samples of a host's load, as its agent does."""
    lines = "".join(
        json.dumps({"time": START + 2 * n, "cpu_percent": 50.0 + n, "memory_used": 10**9}) + "\n"
        for n in range(samples)
    )
    append(directory / rundir.host_metrics(node), lines)


def append(path: Path, text: str) -> None:
    """Append text to a file in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


TRACEBACK = """Traceback (most recent call last):
  File "/src/train.py", line 3, in main
    raise RuntimeError("loss is not finite")
RuntimeError: loss is not finite"""


def end_nodes(directory: Path, *, status: str = "finished", nodes: int = 1) -> None:
    """The agents' last word: rank 1 of the last node failed where `status` is failed."""
    for node in range(nodes):
        cause = None
        if status == "failed" and node == nodes - 1:
            log = rundir.rank_log(node, 1)
            head = f"2026-11-21T09:08:01.123 ERROR gpu{node:02} r1 | "
            append(directory / log, "".join(f"{head}{line}\n" for line in ["step 3", *TRACEBACK.splitlines(), "bye"]))
            cause = {"rank": 1, "exit_code": 3, "signal": None, "log": log, "time": START + 9}
        message = "rank 1 ended with exit code 3" if cause else None
        outcome = {"status": status, "exit_code": int(status != "finished"), "message": message, "root_cause": cause}
        append(directory / rundir.rank_log(node, 0), "step 1 loss 4.0\n")
        rundir.write_json(directory / rundir.node_facts(node), report(node, outcome))
