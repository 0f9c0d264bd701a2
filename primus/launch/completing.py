"""Complete what a run that is over left incomplete: its result, where its owner is gone, and its record."""

import os
import shlex
from pathlib import Path
from typing import Any

from primus.launch import outcome, rundirectory, state
from primus.launch.config.request import Request
from primus.launch.problems import BadRequest
from primus.launch.record.files import node_reports, output_root, read_json
from primus.launch.running import record_once
from primus.launch.slurm import ending
from primus.launch.state import State
from primus.node import rundir
from primus.node.secrets import redact_url

_OWN = "the launcher was killed"  # as the recorder says it: either may come first


def complete(found: State, request: Request) -> tuple[State, str]:
    """Write the results that nobody else will write any more, then the record; returns the state then.

    The text says what is still missing of the record; empty for nothing.
    """
    found = with_result(found)
    return found, _record(found, request) if found.over else ""


def with_result(found: State) -> State:
    """Write the results that nobody else will write any more; returns the state then."""
    lost = [run for run in found.jobs or (found,) if run.name == "LOST"]
    for run in lost:
        write_result(run)
    if lost:
        found = state.read(found.directory)
    if found.jobs and found.over:
        end_sweep(found, found.name)
    return found


def end_sweep(found: State, status: str) -> None:
    """Note in sweep.json how it ended, unless it is there."""
    content = read_json(found.directory / state.SWEEP)
    if "status" not in content:
        rundir.write_json(found.directory / state.SWEEP, {**content, "status": status})


def write_result(run: State, cancelled: bool = False) -> None:
    """Write result.json of a run that no process is left of: by what its nodes said, or by Slurm's word.

    Does nothing where there is no run directory, or where there is a result meanwhile.
    """
    if state.has_result(run.directory) or not (run.directory / rundir.PLAN).is_file():
        return
    job = run.handle.job if run.handle else None
    if job and not cancelled:
        ending.write_result(run.directory, job, run.slurm)
    else:
        killed = cancelled or not _told(run.directory)
        message = "cancelled" if cancelled else _OWN if killed else None
        began = run.started or run.submitted or (run.directory / rundir.PLAN).stat().st_mtime
        outcome.write_result(run.directory, began, killed, message)
    rundirectory.log(run.directory, "INFO", f"result.json is written afterwards, its owner is gone: {run.reason}")


def _told(directory: Path) -> bool:
    """Whether all nodes of the plan said how they ended."""
    nodes = int((read_json(directory / rundir.PLAN).get("job") or {}).get("nodes", 1))
    reports = node_reports(directory)
    return len(reports) >= nodes and all(report.get("outcome") for report in reports.values())


def _record(found: State, request: Request) -> str:
    """Complete the MLflow record, unless it is complete or was not wanted; what is missing, in words."""
    if not wanted(found.directory) or is_recorded(found):
        return ""
    try:
        return record_once(found.directory, address(found.directory, request), request.tracking.wait)
    except BadRequest as error:
        return str(error)


def wanted(directory: Path) -> bool:
    """Whether a run or a sweep is to be recorded: there is a plan, and it does not say tracking.enabled=false."""
    plan = _plan(directory)
    return bool(plan) and bool(_tracking(plan).get("enabled", True))


def is_recorded(found: State) -> bool:
    """Whether the record of a run, or of a sweep and those of its jobs that have started, is complete."""
    begun = [job.directory for job in found.jobs if (job.directory / rundir.PLAN).is_file()]
    return all(record(directory).get("complete") for directory in (found.directory, *begun))


def address(directory: Path, request: Request) -> str:
    """The tracking URI at which a record is to be completed: that of the user, else sqlite under the output root.

    A run says where its record was begun, and is data all the same, maybe a stranger's: nothing is sent to a server,
    with what credentials for MLflow there are here, that it alone names. Raises BadRequest for such a run.
    """
    given = request.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    begun = begun_elsewhere(directory)
    if given or not begun:
        return given or _own(directory)
    raise BadRequest(
        f"its record is at {begun}; to complete it there, say so: "
        f"tracking.uri={shlex.quote(begun)}" + (" with the credentials" if "***" in begun else "")
    )


def begun_elsewhere(directory: Path) -> str:
    """Where a record was begun, or was to be, without credentials; empty for sqlite under its output root."""
    begun = str(record(directory).get("tracking_uri") or redact_url(str(_tracking(_plan(directory)).get("uri") or "")))
    return "" if begun == _own(directory) else begun


def _own(directory: Path) -> str:
    return f"sqlite:///{output_root(directory.resolve())}/mlflow.db"


def _plan(directory: Path) -> dict[str, Any]:
    """The plan of a run, or of the first job of a sweep that has started; empty for none."""
    folders = (directory, *(job for job in state.jobs(directory)))
    return next(filter(None, (read_json(folder / rundir.PLAN) for folder in folders)), {})


def _tracking(plan: dict[str, Any]) -> dict[str, Any]:
    return (plan.get("config") or {}).get("tracking") or {}


def record(directory: Path) -> dict[str, Any]:
    """What record.json says, as far as a user wants to know it."""
    told = read_json(directory / rundir.RECORD)
    kept = ("tracking_uri", "experiment_id", "run_id", "complete", "errors")
    return {name: told[name] for name in kept if name in told}
