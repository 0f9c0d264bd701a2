"""Whether a job goes back into the queue, and why. Slurm is asked by few: what that takes is imported then."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from primus.launch.problems import Unfit
from primus.launch.record.files import node_reports
from primus.node import process
from primus.node.plan import Plan

PATIENCE = 60.0
"""Seconds that Slurm gets to end the first process once it has taken the job back."""


@dataclass(frozen=True)
class Report:
    """How a start of the job ended: as its nodes say (`status`, `message`, `step`), and what it was told meanwhile.

    `lost`: a node went away in mid-run. `asked_to_stop`: to save and end. `told_to_end`: the whole job was, by Slurm.
    """

    status: str
    message: str
    step: int | None
    lost: bool
    asked_to_stop: bool
    told_to_end: bool


def node_lost(directory: Path, nodes: int, told_to_end: bool) -> bool:
    """Whether the job lost a node: one that others missed, or, unless Slurm was ending it all, that left no outcome."""
    outcomes = [report.get("outcome") for report in node_reports(directory).values()]
    ended = [outcome for outcome in outcomes if outcome]
    return any(outcome.get("lost") for outcome in ended) or (not told_to_end and 0 < len(ended) < nodes)


def reason(report: Report, settings: Mapping[str, Any], restart: int, steps: int | None) -> str | None:
    """Why the job is to start again; None where it is over.

    `restart` is how often the job was started again before, `steps` how many the task has.
    """
    if not settings.get("requeue") or restart >= int(settings.get("max_restarts", 0)):
        return None
    at = f" at step {report.step}" if report.step is not None else ""
    done = steps is not None and report.step is not None and report.step >= steps
    if done or report.told_to_end:  # whoever ended the whole job did mean it; where Slurm preempts it, it requeues it
        return None
    if report.status == "FINISHED" and report.asked_to_stop:
        return f"stopped on request{at}"
    if report.status == "KILLED":
        return f"the agents were told to end{at}: preempted"
    return report.message if report.lost else None


def used_up(report: Report, settings: Mapping[str, Any], restart: int, steps: int | None) -> str:
    """What to say of a job that would start again if it might do so more often; of any other nothing."""
    most = int(settings.get("max_restarts", 0))
    why = reason(report, settings, -1, steps) if restart >= most else None
    return f"{why}; runtime.max_restarts={most} allows no further start" if why else ""


def steps(plan: Plan) -> int | None:
    """How many steps the task has; None for one that does not count them."""
    count = plan.config["task"].get("steps")
    return count if isinstance(count, int) else None


def in_touch(job_id: str) -> bool:
    """Whether Slurm answers. Asked twice: a controller may be busy for a while."""
    from primus.launch.slurm import controller

    for _ in range(2):
        try:
            controller.states([job_id])
            return True
        except Unfit:
            continue
    return False


def out_of_time(report: Report, settings: Mapping[str, Any], restart: int, steps: int | None) -> str | None:
    """Why a job whose time is up, without having saved when it was asked to, is to start again; None where not."""
    return reason(replace(report, status="KILLED", told_to_end=False), settings, restart, steps) and "its time is up"


def requeue(job_id: str, ending: bool = False) -> bool:
    """Give the job back to Slurm, which then ends this process; False where it does not take it, or it was cancelled:
    Slurm would start that again too. `ending`: Slurm is ending the job, and it is known to be for its time limit."""
    from primus.launch.slurm import controller

    try:
        state = controller.states([job_id]).get(job_id)
    except Unfit:
        return False
    if state is None or state.name not in ("RUNNING", "COMPLETING" if ending else "RUNNING"):
        return False
    return process.ask(["scontrol", "requeue", job_id], 20.0) is not None


@dataclass(frozen=True)
class Told:
    """Why Slurm is ending a job, in words.

    `again`: because it preempts it, and will start it again. `limit`: because its time is up, and Slurm will not.
    """

    why: str
    again: bool = False
    limit: bool = False


def told(job_id: str) -> Told:
    """Ask Slurm, which has told this process to end, for what; a cancelled job is what it says nothing else of."""
    shown = process.ask(["scontrol", "--oneliner", "show", "job", job_id], 10.0) or ""
    return reading(dict(word.split("=", 1) for word in shown.split() if "=" in word))


def reading(fields: Mapping[str, str]) -> Told:
    """From the fields of `scontrol show job`. Pure."""
    from primus.launch.slurm.options import minutes

    if fields.get("PreemptTime", "None") != "None":
        return Told("it was preempted", fields.get("Requeue") == "1")
    limit, ran = minutes(fields.get("TimeLimit", "")), minutes(fields.get("RunTime", ""))
    if limit is not None and ran is not None and ran >= limit:
        return Told(f"its time limit of {limit:g} minutes was reached", limit=True)
    return Told("it was cancelled")
