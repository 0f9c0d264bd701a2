"""`task=status run=<run>`: the state of a run or a sweep, from another shell and after its launcher is gone too."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from primus.launch import closing, completing, handle, state
from primus.launch.config.request import Request
from primus.launch.problems import OK, BadRequest
from primus.launch.record.files import read_json
from primus.launch.state import State
from primus.node import rundir
from primus.node.typed import plain


@dataclass(frozen=True)
class Settings:
    """`format`: for people, or JSON."""

    name: str
    format: Literal["text", "json"]


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    return f"say what state {named(request, offline=True)} is in, and complete its record where that is wanting"


def act(task: Settings, request: Request) -> int:
    """Print it; 0 whatever the state is. Raises BadRequest for a run that is not there."""
    found, missing = completing.complete(state.read(named(request)), request)
    if task.format == "json":
        json.dump(as_data(found), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        if (found.directory / rundir.RESULTS).is_file():
            from primus.launch.results import table  # rich takes 40 ms to import

            table.show(found.directory)
        print("\n".join(f"{name:<8}{text}" for name, text in _rows(found, missing)))
        if found.name == "FAILED" and not found.jobs:
            print(closing.failure(found.directory, read_json(found.directory / rundir.RESULT)))
    return OK


def named(request: Request, offline: bool = False) -> Path:
    """The directory of the run that `run=` names. Raises BadRequest where there is none."""
    if not request.run:
        raise BadRequest(
            f"task={request.task['name']} needs a run: run=<run directory, run id or Slurm job id>; "
            "task=runs lists them"
        )
    return handle.find(request.run, Path(request.output.root).expanduser(), request.tracking.uri, offline)


def as_data(found: State) -> dict[str, Any]:
    """The state as plain data, without what is empty for a run of its kind."""
    owner = found.handle
    return {
        "run": found.id,
        "directory": str(found.directory),
        "state": found.name,
        "reason": found.reason,
        "exit_code": found.exit_code,
        "task": found.task,
        "what": found.what,
        "step": found.step,
        "metrics": dict(found.metrics or {}),
        "submitted": found.submitted,
        "started": found.started,
        "ended": found.ended,
        "where": found.where,
        "handle": plain(owner) if owner else None,
        "job_id": owner.job if owner else None,
        "restarts": found.slurm.restarts if found.slurm else None,
        "record": completing.record(found.directory),
        **({"jobs": [as_data(job) for job in found.jobs]} if found.jobs else {}),
    }


def _rows(found: State, missing: str) -> Iterator[tuple[str, str]]:
    where = shlex.quote(closing.short(found.directory))
    yield "run", f"{where}  ({found.name.lower()})"
    if found.reason:
        yield "why" if not found.jobs else "jobs", found.reason
    yield "task", " ".join(filter(None, (found.task, found.what)))
    if found.where:
        yield "where", found.where
    if found.slurm and found.slurm.restarts:
        yield "starts", f"requeued {found.slurm.restarts} times"
    if found.submitted:
        yield "age", state.duration(found.age) + _ran(found)
    if found.jobs and found.metrics:
        yield "best", f"loss {found.metrics['loss']:.4f}"
    elif found.metrics:
        yield "loss", closing.reached({"metrics": found.metrics, "step": found.step})
    if (found.directory / rundir.RESULTS_TABLE).is_file():
        yield "results", closing.short(found.directory / rundir.RESULTS_TABLE)
    if (found.directory / rundir.REPORT).is_file():
        yield "report", closing.short(found.directory / rundir.REPORT)
    if missing:
        yield "record", f"not complete: {missing}"
    elif run_id := completing.record(found.directory).get("run_id"):
        yield "record", f"MLflow run {run_id}"
    for job in found.jobs:
        reached = closing.reached({"metrics": job.metrics, "step": job.step}) if job.metrics else job.reason
        yield f"  {job.directory.name}", f"{job.name.lower():<9} {reached}"
    if found.living and not found.jobs:
        yield "logs", f"primus task=logs follow=true run={where}"
        yield "cancel", f"primus task=cancel run={where}"


def _ran(found: State) -> str:
    if found.seconds is None:
        return ""
    return f", {'running for' if found.living else 'ran for'} {state.duration(found.seconds)}"
