"""The last words of a job: where it is, its final loss, how to browse and replay it; or why it failed."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch.config.request import Request
from primus.launch.diagnosis import text, words
from primus.launch.record import files
from primus.node import rundir
from primus.node.plan import Plan
from primus.node.secrets import redact_url

_TAIL = 30
"""Lines of a failed rank's log that are shown: a traceback is seldom longer."""
_READ = 1 << 16
"""Bytes at the end of its log in which they are."""


def say(plan: Plan, request: Request, result: Mapping[str, Any], complete: bool) -> None:
    """Print the closing lines; for a job that failed, the root cause before them."""
    directory = Path(plan.directory)
    if result["status"] != "FINISHED":
        print(failure(directory, result), file=sys.stderr)
    elif (message := result.get("message")) and message not in restarted(result):
        print(f"primus: {message}", file=sys.stderr)
    if not complete:
        print(incomplete(directory), file=sys.stderr)
    if (directory / rundir.RESULTS).is_file():
        from primus.launch.results import table  # rich takes 40 ms to import

        table.show(directory)
    print(summary(plan, request, result))


def incomplete(directory: Path) -> str:
    """What to do when MLflow could not take everything in time."""
    from primus.launch import completing  # what it imports a job that is recorded in time needs not

    elsewhere = "" if os.environ.get("MLFLOW_TRACKING_URI") else completing.begun_elsewhere(directory)
    again = f"primus task=record/sync run={shlex.quote(short(directory))}"
    again += f" tracking.uri={shlex.quote(elsewhere)}" if elsewhere else ""
    return f"primus: the MLflow record is not complete yet; the run directory is. Complete it later with:\n  {again}"


def summary(plan: Plan, request: Request, result: Mapping[str, Any]) -> str:
    """The closing lines."""
    where = short(Path(plan.directory))
    report, table = Path(plan.directory) / rundir.REPORT, Path(plan.directory) / rundir.RESULTS_TABLE
    rows = [
        ("run", f"{where}  ({', '.join([str(result['status']).lower(), *restarted(result)])})"),
        *([("results", short(table))] if table.is_file() else [("loss", reached(result))]),
        *([("report", short(report))] if report.is_file() else []),
        ("browse", browse(request)),
        ("replay", f"primus replay={shlex.quote(where)}"),
    ]
    return "\n".join(f"{name:<8}{text}" for name, text in rows)


def restarted(result: Mapping[str, Any]) -> list[str]:
    """How often the ranks were started again, if they were."""
    count = result.get("restarts") or 0
    return [f"after {count} restart{'s' if count > 1 else ''}"] if count else []


def browse(request: Request) -> str:
    """The command that shows the run in a browser, or the address of the tracking server."""
    if not request.tracking.enabled:
        return "nothing recorded in MLflow (tracking.enabled=false)"
    uri = request.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith("http"):
        return redact_url(uri)
    store = uri or f"sqlite:///{Path(request.output.root).expanduser().resolve()}/mlflow.db"
    return f"mlflow ui --backend-store-uri {shlex.quote(redact_url(store))}"


def reached(result: Mapping[str, Any]) -> str:
    """The last losses: of the training, and on held-out data where that was measured."""
    metrics = result.get("metrics") or {}
    said = []
    if metrics.get("loss") is not None:
        said.append(f"{float(metrics['loss']):.4f}")
    if metrics.get("validation_loss") is not None:
        perplexity = metrics.get("validation_perplexity")
        said.append(
            f"{float(metrics['validation_loss']):.4f} on held-out data"
            + (f" (perplexity {float(perplexity):.2f})" if perplexity is not None else "")
        )
    return f"{', '.join(said)} at step {result.get('step')}" if said else "none reported"


def loss(result: Mapping[str, Any]) -> float | None:
    """The last loss that was reported."""
    value = (result.get("metrics") or {}).get("loss")
    return float(value) if value is not None else None


def failure(directory: Path, result: Mapping[str, Any]) -> str:
    """What failed first: rank, node, how it ended, the end of its log; what it most likely is, what to do, the logs."""
    cause = result.get("root_cause")
    if not cause:
        head = f"primus: the job is {str(result['status']).lower()}: {result.get('message') or 'no rank said why'}"
        logs = directory / "logs"
        return "\n".join([head, *likely(result), *([f"primus: its logs: {short(logs)}"] if logs.is_dir() else [])])
    host = files.read_json(directory / rundir.node_facts(int(cause.get("node_rank") or 0))).get("host")
    return "\n".join(
        [
            f"primus: {first_to_fail(cause)}",
            *(f"  {line}" for line in last_words(directory, cause["log"])),
            *likely(result),
            f"primus: its whole log: {short(directory / cause['log'])}" + (f" (of host {host})" if host else ""),
        ]
    )


def likely(result: Mapping[str, Any]) -> list[str]:
    """What it most likely is, and what to do; nothing of a request or an environment that its message explains."""
    diagnosis = result.get("diagnosis") or {}
    if not diagnosis.get("failure") and not result.get("root_cause"):
        return []
    first, *rest = words.lines(diagnosis, (result.get("root_cause") or {}).get("rank")) or [""]
    return [f"primus: {first}", *(f"  {line}" for line in rest)] if first else []


def first_to_fail(cause: Mapping[str, Any]) -> str:
    """The root cause in a sentence."""
    if cause.get("hung"):
        return f"rank {cause['rank']} on node {cause.get('node_rank', 0)} holds up the job: {cause.get('error')}"
    ended = f"was killed by {cause['signal']}" if cause.get("signal") else f"ended with exit code {cause['exit_code']}"
    return f"rank {cause['rank']} on node {cause.get('node_rank', 0)} failed first: it {ended}."


def last_words(directory: Path, log: str) -> list[str]:
    """How the log of a rank ends, without the columns that Primus put there; none of a file that is not the run's."""
    path = files.own(directory, log)
    return shown(text.tail(path, _READ, first=True, name=log)) if path else []


def shown(end: text.Text) -> list[str]:
    """The last traceback of the last start in a log, else its last lines; empty ones left out."""
    if raised := [line for line in end.traceback if line]:
        return trimmed(raised)
    return [line for line in end.lines[end.end : end.launcher] if line][-_TAIL:]


def trimmed(chosen: list[str]) -> list[str]:
    """Lines without their middle where they are many."""
    return chosen if len(chosen) <= _TAIL else [*chosen[:3], "...", *chosen[-(_TAIL - 4) :]]


def short(path: Path) -> str:
    """A path as the user would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
