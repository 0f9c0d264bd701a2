"""What became of a job that left no result: the truth by Slurm's word for it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch import outcome
from primus.launch.problems import JOB_FAILED
from primus.launch.record.files import node_reports, read_json
from primus.launch.slurm.controller import State
from primus.node import rundir

_REASONS = {
    "NODE_FAIL": "a node failed",
    "TIMEOUT": "its time limit was reached",
    "OUT_OF_MEMORY": "it used more memory than it had asked for (runtime.mem)",
    "PREEMPTED": "it was preempted",
    "DEADLINE": "its deadline passed",
    "BOOT_FAIL": "a node did not boot",
    "CANCELLED": "it was cancelled",
    "REVOKED": "another cluster took it",
}
_KILLED = ("CANCELLED", "PREEMPTED", "TIMEOUT", "DEADLINE", "REVOKED")


def truth(job_id: str, state: State | None, began: bool) -> tuple[bool, str]:
    """Whether the job was killed (else it failed), and a sentence. `began`: one of its agents has written facts.

    `state` None: neither the controller nor the accounts know the job.
    """
    if state is None:
        return False, f"Slurm knows nothing of job {job_id} any more, and it left no result"
    where = f" on {state.nodes}" if state.nodes else " before it started"
    why = _REASONS.get(state.name)
    if why:
        return state.name in _KILLED, f"Slurm ended job {job_id}{where}: {why}"
    how = f"Slurm job {job_id} is {state.name}{where}, exit code {state.exit_code}"
    if began:
        return False, f"{how}: its first process ended before it had written the result"
    never = "its first process never began to work; do the nodes see output.root, and what does"
    return False, f"{how}: {never} {rundir.JOB_LOG} say?"


def write_result(directory: Path, job_id: str, state: State | None, cancelled: bool = False) -> dict[str, Any]:
    """Write result.json of a job that is over and left none, and return it. `cancelled`: the user has ended it."""
    killed, message = truth(job_id, state, bool(node_reports(directory)))
    said = [words for report in node_reports(directory).values() if (words := _lost(report)) and words not in message]
    message = "; ".join([message, *said])
    started = float(read_json(directory / rundir.HANDLE).get("submitted") or (directory / rundir.PLAN).stat().st_mtime)
    killed = killed or cancelled
    result = outcome.summary(directory, started, time.time(), killed, message)
    of_an_earlier_start = result["status"] == "FINISHED" and (state is None or state.name != "COMPLETED")
    if of_an_earlier_start or (result["status"] == "KILLED" and not killed):  # nodes saw no more than what ended them
        result |= {"status": "FAILED", "exit_code": JOB_FAILED}
    return outcome.close(directory, result)


def _lost(report: Mapping[str, Any]) -> str | None:
    """What a node says that lost another: it names the one that Slurm's word leaves open."""
    outcome = report.get("outcome") or {}
    return str(outcome["message"]) if outcome.get("lost") else None
