"""How a run ended, from what its nodes left. Written by the launch side, or by the recorder when that is gone."""

import shlex
import sys
from pathlib import Path
from typing import Any

from primus.launch import rundirectory, smoke
from primus.launch.problems import BAD_REQUEST, JOB_FAILED, UNFIT
from primus.launch.record import tail
from primus.launch.record.files import main_rank, node_reports, rank_files, read_json
from primus.node import clock, rundir
from primus.node.plan import WORKERS

_ENDED = {"finished": ("FINISHED", 0), "failed": ("FAILED", 1), "killed": ("KILLED", 130), "unfit": ("FAILED", 3)}
"""Status of a node -> status of the run and exit code of `primus`."""

_REFUSALS = (BAD_REQUEST, UNFIT)
_UNFIT = 3  # messages
SURVIVOR = "survivor"
"""Key of a result: the node that wrote it, in the place of the first, which was lost and its recorder with it."""


def write_result(directory: Path, started: float, interrupted: bool, message: str | None = None) -> dict[str, Any]:
    """Write result.json, whose presence means that the run is over, and return it. `started`: seconds since the epoch.

    A run that was interrupted is KILLED whatever its nodes say; else a lost node, the rank that failed first or the
    worst node decides. A node of the plan that left no outcome (its agent was killed, or its host went down) makes the
    run FAILED, by name. So does a result that is worse than that of the baseline.
    """
    return close(directory, summary(directory, started, clock.steady(), interrupted, message))


def close(directory: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Gather what its nodes found, compare that with the baseline, and write result.json; returns the result.

    A run that has not finished gets its diagnosis.
    """
    odd = smoke.gather(directory)
    if odd and result["status"] == "FINISHED":
        result |= {"status": "FAILED", "exit_code": UNFIT, "message": odd}
    if result["status"] == "FINISHED" and (directory / rundir.BASELINE).exists():
        from primus.launch.results import baseline  # here: most jobs have none

        if worse := baseline.verdict(directory):
            result |= {"status": "FAILED", "exit_code": JOB_FAILED, "message": worse}
    if result["status"] != "FINISHED":
        result |= _diagnosed(directory, result)
    try:
        rundir.write_last(directory / rundir.RESULT, result)
    except OSError as error:
        print(
            f"primus: {error.filename} cannot be written: {error.strerror}. When it can be, write it with: "
            f"primus task=status run={shlex.quote(str(directory))}",
            file=sys.stderr,
        )
    return result


def _diagnosed(directory: Path, result: dict[str, Any]) -> dict[str, Any]:
    from primus.launch.diagnosis import run  # here: the table takes 30 ms, which only a job that failed is to wait for

    try:
        found = run.of_run(directory, result)
    except Exception as error:  # whatever is in the logs and reports: how it ended must be written all the same
        rundirectory.log(directory, "WARN", f"no diagnosis: {type(error).__name__}: {error}")
        return {}
    if not found.get("failure") and (result["exit_code"] in _REFUSALS or not result["root_cause"]):
        return {}  # "unknown" beside a message that says what is wrong
    return {"diagnosis": found} if found else {}


def summary(directory: Path, started: float, ended: float, interrupted: bool, message: str | None) -> dict[str, Any]:
    """The result as plain data; reads the run directory, writes nothing."""
    reports = node_reports(directory)
    outcomes = {node: report["outcome"] for node, report in reports.items() if report.get("outcome")}
    cause = _root_cause(reports, outcomes)
    job = read_json(directory / rundir.PLAN).get("job") or {}
    node, (status, exit_code) = _decide(outcomes, cause, workers=WORKERS in (job.get("command") or ()))
    said = _message(outcomes, node)
    lost = [n for n in range(int(job.get("nodes", 1))) if n not in outcomes]
    if lost and status == "FINISHED":
        status, exit_code, said = "FAILED", 1, _lost(lost, reports)
    if interrupted:
        status, exit_code, said = "KILLED", 130, "interrupted"
    step, metrics = last_metrics(directory)
    return {
        "status": status,
        "exit_code": exit_code,
        "started": started,
        "ended": ended,
        "message": message or said,
        "root_cause": cause,
        "metrics": metrics,
        "step": step,
        "restarts": max((int(report.get("restarts") or 0) for report in reports.values()), default=0),
    }


def last_metrics(directory: Path) -> tuple[int | None, dict[str, float]]:
    """The last step and the last value of each metric, of the rank that reports the loss (else of rank 0)."""
    files = {rank: tail.last_objects(path) for rank, path in rank_files(directory).items()}
    rank = main_rank(files)
    step: int | None = None
    metrics: dict[str, float] = {}
    for line in files.get(rank, []):
        metrics.update(tail.numbers(line))
        if isinstance(line.get("step"), int):
            step = line["step"]
    return step, metrics


def _decide(
    outcomes: dict[int, dict[str, Any]], cause: dict[str, Any] | None, *, workers: bool
) -> tuple[int, tuple[str, int]]:
    """The node whose outcome is that of the run.

    One that was unfit, else one that lost another, else that of the root cause, else one that failed or was killed.
    `workers`: the ranks are Primus's own, whose exit codes 2 and 3 say that the request or the environment is wrong.
    """
    for node in sorted(outcomes):
        if outcomes[node].get("status") == "unfit":
            code = outcomes[node].get("exit_code")
            return node, ("FAILED", code) if code in _REFUSALS else _ENDED["unfit"]
    for node in sorted(outcomes):
        if outcomes[node].get("lost"):
            return node, _ENDED["failed"]
    if cause:
        refused = workers and cause.get("exit_code") in _REFUSALS
        return cause["node_rank"], ("FAILED", cause["exit_code"]) if refused else _ENDED["failed"]
    for status in ("failed", "killed"):
        for node in sorted(outcomes):
            if outcomes[node].get("status") == status:
                return node, _ENDED[status]
    return 0, _ENDED["finished"]


def _message(outcomes: dict[int, dict[str, Any]], node: int) -> str | None:
    """What the node that decides has to say; where nodes were unfit, what each of the first few has."""
    if outcomes.get(node, {}).get("status") != "unfit":
        said: str | None = outcomes.get(node, {}).get("message")
        return said
    unfit = [outcomes[n].get("message") for n in sorted(outcomes) if outcomes[n].get("status") == "unfit"]
    return "; ".join(list(dict.fromkeys(filter(None, unfit)))[:_UNFIT]) or None


def _root_cause(reports: dict[int, dict[str, Any]], outcomes: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    """The rank that failed first, over all nodes by the clock of node 0, with its node; None where a node was lost."""
    if any(outcome.get("lost") for outcome in outcomes.values()):
        return None
    causes = [{**cause, "node_rank": n} for n, o in sorted(outcomes.items()) if (cause := o.get("root_cause"))]

    def when(cause: dict[str, Any]) -> float:
        return float(cause.get("time") or 0.0) + float(reports[cause["node_rank"]].get("clock_offset") or 0.0)

    return min(causes, key=when, default=None)


def _lost(nodes: list[int], reports: dict[int, dict[str, Any]]) -> str:
    names = [f"{n} ({reports[n]['host']})" if reports.get(n, {}).get("host") else str(n) for n in nodes[:8]]
    more = f" and {len(nodes) - 8} more" if len(nodes) > 8 else ""
    return f"node {', '.join(names)}{more} left no outcome: its agent or its host was killed, or it never started"
