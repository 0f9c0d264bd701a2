"""The diagnosis of a run, from all that its nodes, its ranks and Slurm left in the run directory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from primus.launch.diagnosis import figures
from primus.launch.diagnosis.matching import Match, best
from primus.launch.diagnosis.text import Text, tail
from primus.launch.record.files import node_reports, own
from primus.node import rundir
from primus.node.digits import whole

_FIRST = 1 << 20
"""Bytes at the end of the log of the rank that failed first; of the others a sixteenth."""
_OTHERS = 32
"""Ranks beside the first whose logs are read: of a thousand that failed alike, more say nothing new."""
_OURS = ("interrupted", "cancelled")
"""Messages of a run that a user has ended: there is nothing to diagnose."""


def of_run(directory: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data for result.json: what it most likely is, from which line, and what to do; see `described`.

    `failure` is None where nothing matches. Empty for a run that was ended by its user.
    """
    if str(result.get("message")) in _OURS:
        return {}
    return described(directory, best(list(_texts(directory, result))))


def described(directory: Path | None, found: Sequence[Match]) -> dict[str, Any]:
    """The first match, and by name what else was found of the same kind; figures of a run's memory where it is that."""
    if not found:
        return {"failure": None}
    first = found[0]
    failure = first.failure
    return {
        "failure": failure.name,
        "title": failure.title,
        "cause": next(iter(failure.filled(failure.cause, first.groups)), ""),
        "advice": failure.filled(failure.advice, first.groups),
        "evidence": _evidence(first),
        "figures": figures.memory(directory) if directory and "memory" in failure.title else [],
        "also": [
            {"failure": match.failure.name, "title": match.failure.title, "evidence": _evidence(match)}
            for match in found[1:]
            if match.failure.kind == failure.kind == "cause"
        ][:3],
    }


def _evidence(match: Match) -> dict[str, Any]:
    text = match.text
    return {
        "text": match.line,
        "log": text.name,
        "line": text.number(match.index),
        "rank": text.rank,
        "node_rank": text.node,
    }


def _texts(directory: Path, result: Mapping[str, Any]) -> Iterator[Text]:
    """What failed first, then what was said of the end, then the others."""
    cause = result.get("root_cause") or {}
    first = str(cause.get("log") or "")
    if first:
        yield _log(directory, first, True, cause.get("rank"), cause.get("node_rank"))
    if result.get("message"):
        yield Text("message", str(result["message"]).splitlines(), True, cause.get("rank"), cause.get("node_rank"))
    yield Text("metrics", figures.said(directory), True)
    yield _log(directory, rundir.JOB_LOG, True)
    for name, rank, node in _others(directory, first):
        yield _log(directory, name, False, rank, node)


def _log(directory: Path, name: str, first: bool, rank: int | None = None, node: int | None = None) -> Text:
    """The end of a log; without lines where its name, which a stranger may have written, leads out of the run."""
    path = own(directory, name)
    if path is None:
        return Text(name, (), first, rank, node)
    return tail(path, _FIRST if first else _FIRST >> 4, first, name, rank, node)


def _others(directory: Path, first: str) -> list[tuple[str, int | None, int]]:
    """The logs of other ranks that failed, in the order of their ends, and of all ranks of a node that never told."""
    ended: list[tuple[float, str, int | None, int]] = []
    reports = node_reports(directory)
    for node, report in reports.items():
        outcome = report.get("outcome") or {}
        for end in outcome.get("ranks") or ():
            if end.get("exit_code") and end.get("log") != first:
                ended.append((float(end.get("ended") or 0), str(end.get("log")), end.get("rank"), node))
        hooks = rundir.hooks_log(node)  # the monitor among them: what the kernel said
        if (directory / hooks).is_file():
            ended.append((float("inf"), hooks, None, node))
    told = {node for node, report in reports.items() if report.get("outcome")}
    for path in sorted((directory / "logs").glob("node-*/rank-*.log")):
        of_node, of_rank = path.parent.name.removeprefix("node-"), path.stem.removeprefix("rank-")
        if whole(of_node) and whole(of_rank) and int(of_node) not in told:
            ended.append((0.0, str(path.relative_to(directory)), int(of_rank), int(of_node)))
    return [(name, rank, node) for _, name, rank, node in sorted(ended, key=lambda one: one[0])[:_OTHERS]]
