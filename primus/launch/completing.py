"""Complete what a run that is over left incomplete: its result, where its owner is gone, and its record."""

import os
from pathlib import Path
from typing import Any

from primus.launch import handle, outcome, rundirectory, state
from primus.launch.config.request import Request
from primus.launch.record.files import node_reports, read_json
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
    lost = [run for run in found.jobs or (found,) if run.name == "LOST"]
    for run in lost:
        write_result(run)
    if lost:
        found = state.read(found.directory)
    if found.jobs and found.over:
        end_sweep(found, found.name)
    return found, _record(found, request) if found.over else ""


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
    runs = [run for run in found.jobs or (found,) if (run.directory / rundir.PLAN).is_file()]
    if not runs:
        return ""
    tracking = read_json(runs[0].directory / rundir.PLAN).get("config", {}).get("tracking") or {}
    recorded = {found.directory, *(run.directory for run in runs)}
    if not tracking.get("enabled", True) or all(record(directory).get("complete") for directory in recorded):
        return ""
    uri = request.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    theirs = tracking.get("uri")
    if not uri and theirs and not handle.made_here(found.directory):  # a stranger's word sends nothing anywhere
        return f"the run was not begun here: to send it where it says, give tracking.uri={redact_url(str(theirs))}"
    return record_once(found.directory, uri or theirs, request.tracking.wait)


def record(directory: Path) -> dict[str, Any]:
    """What record.json says, as far as a user wants to know it."""
    told = read_json(directory / rundir.RECORD)
    kept = ("tracking_uri", "experiment_id", "run_id", "complete", "errors")
    return {name: told[name] for name in kept if name in told}
