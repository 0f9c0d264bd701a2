"""The end of a job whose first node is lost: by another node, in the place of the job's first process."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from primus.launch import outcome, rundirectory
from primus.launch.job import requeue
from primus.launch.problems import Unfit
from primus.launch.record.files import node_reports
from primus.launch.slurm import controller
from primus.node import allocation, guard, rundir
from primus.node.plan import Plan, from_json

_WAIT = 1 / 3
"""For the first process to end the job itself, where it lives and only the agent beside it is gone; as a part of
`node.lost_after`. It takes half of that."""
_NEXT = 5.0
"""Seconds between those who ask: node 1, nodes 2 and 3, nodes 4 to 7, ... so that not all of them ask at once."""
_TRIES, _PAUSE = 4, 5.0
"""Calls to a controller that does not answer, and seconds between them."""


def main(directory: Path, node_rank: int) -> int:
    """Have Slurm start the job again or end it, unless somebody has done so; the exit code, 0 for done.

    A node that cannot reach the controller is lost itself, for all it knows: it decides nothing.
    """
    job_id, restart = allocation.job(os.environ), int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    plan = from_json((directory / rundir.PLAN).read_text(encoding="utf-8"))
    # Told to end, it asks at once whether that is for the whole job: these signals are blocked by whoever starts it.
    signal.sigtimedwait(guard.ENDING, _WAIT * plan.job.lost_after + _NEXT * (node_rank.bit_length() - 1))

    def say(level: str, text: str) -> None:
        rundirectory.log(directory, level, f"node {node_rank}: {text}")
        print(text, file=sys.stderr, flush=True)

    try:
        state = _state(job_id)
    except Unfit as error:
        say("ERROR", f"the first node is lost, and Slurm cannot be asked: {error}")
        return 1
    if state is None or state.name != "RUNNING" or state.restarts != restart:
        say("INFO", f"the first node is lost, and the job is ending already: Slurm has it as {state}")
        return 0
    said = _said(directory, node_rank)
    settings = plan.config["runtime"]
    report = requeue.Report("FAILED", said, outcome.last_metrics(directory)[0], True, False, False)
    why = requeue.reason(report, settings, restart, requeue.steps(plan))
    if why:
        say("INFO", f"{why}: asking Slurm to requeue job {job_id}, for start {restart + 2}")
        if requeue.requeue(job_id):
            return 0
        say("ERROR", "Slurm does not take the job back")
    message = requeue.used_up(report, settings, restart, requeue.steps(plan)) or said
    _end(directory, plan, node_rank, message)
    say("INFO", f"{said}: the run is FAILED, cancelling job {job_id}")
    controller.cancel([job_id])
    return 0


def _state(job_id: str) -> controller.State | None:
    for _ in range(_TRIES - 1):
        with suppress(Unfit):
            return controller.states([job_id]).get(job_id)
        time.sleep(_PAUSE)
    return controller.states([job_id]).get(job_id)


def _said(directory: Path, node_rank: int) -> str:
    """What this node said when it lost the first, by its name."""
    told: dict[str, Any] = node_reports(directory).get(node_rank, {}).get("outcome") or {}
    return str(told.get("message"))


def _end(directory: Path, plan: Plan, node_rank: int, message: str) -> None:
    reports = node_reports(directory).values()
    began = min((float(report["time"]) for report in reports if "time" in report), default=time.time())
    result = outcome.summary(directory, began, time.time(), False, message)
    failed = {"status": "FAILED", "exit_code": 1, "root_cause": None, outcome.SURVIVOR: node_rank}
    rundir.write_json(directory / rundir.RESULT, {**result, **failed})
