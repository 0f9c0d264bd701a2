"""Whether a job goes back into the queue, and why."""

from collections.abc import Mapping
from typing import Any

from primus.node import process

PATIENCE = 60.0
"""Seconds that Slurm gets to end the first process once it has taken the job back."""


def reason(
    result: Mapping[str, Any],
    asked_to_stop: bool,
    ended_by: int | None,
    settings: Mapping[str, Any],
    restart: int,
    steps: int | None,
) -> str | None:
    """Why the job is to start again; None where it is over.

    `result` is how the agents say it ended, `ended_by` the signal that the job's first process got, `restart` how often
    the job was started again before, `steps` how many the task has.
    """
    if not settings.get("requeue") or restart >= int(settings.get("max_restarts", 0)):
        return None
    done = steps is not None and result.get("step") is not None and int(result["step"]) >= steps
    if done or ended_by is not None:
        return None  # whoever ended the job itself did mean it; where that was preemption Slurm requeues it
    if result["status"] == "FINISHED" and asked_to_stop:
        return f"stopped on request at step {result.get('step')}" if result.get("step") else "stopped on request"
    if result["status"] == "KILLED":
        return "its agents were told to end: preempted"
    if result.get("lost"):
        return str(result["message"])
    return None


def requeue(job_id: str) -> bool:
    """Give the job back to Slurm, which then ends this process; False where it does not take it."""
    return process.ask(["scontrol", "requeue", job_id], 20.0) is not None
