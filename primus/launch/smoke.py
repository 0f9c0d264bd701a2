"""The reports of the nodes of a smoke test in one place, once all is over. Standard library: a Slurm job does it."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch.record.files import node_reports, read_json
from primus.node import rundir
from primus.node.allocation import expand

NAME = "smoke"
PASSING, FAILING = "smoke/passing.txt", "smoke/failing.txt"
"""Names of nodes with commas between, for runtime.nodelist and runtime.exclude."""


def gather(directory: Path) -> str:
    """Write the rows of results and both lists of nodes. A node that left no report has failed.

    So has one with fewer GPUs than the others, or other ones, which no node sees by itself: they are what is returned.
    """
    job = read_json(directory / rundir.PLAN).get("job") or {}
    if job.get("checks") != NAME or job.get("command"):
        return ""
    rows: list[Mapping[str, Any]] = []
    names: dict[bool, list[str]] = {True: [], False: []}
    seen = node_reports(directory)
    reports = [read_json(directory / rundir.checks_report(n, NAME)) for n in range(int(job.get("nodes", 1)))]
    odd = odd_ones({n: (report["gpus"], report["model"]) for n, report in enumerate(reports) if "gpus" in report})
    said = []
    for n, report in enumerate(reports):
        name = str(report.get("node") or _name(n, seen.get(n, {})))
        names[bool(report.get("passed")) and n not in odd].append(name)
        rows += report.get("rows") or [_of_all(name, "no report")]
        if n in odd:
            rows.append(_of_all(name, odd[n]))
            said.append(f"{name}: {odd[n]}")
    for state, listed in (("pass", names[True]), ("fail", names[False])):
        rows.append(
            {"kind": "nodes", "time": time.time(), "state": state, "count": len(listed), "names": ",".join(listed)}
        )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    rundir.write_text(directory / rundir.RESULTS, text)
    for path, listed in ((PASSING, names[True]), (FAILING, names[False])):
        rundir.write_text(directory / path, ",".join(listed) + "\n")
    return "; ".join(said)


def odd_ones(found: Mapping[int, tuple[int, str]]) -> dict[int, str]:
    """What is odd about nodes by the number and model of their GPUs, beside what most have.

    Of numbers that equally many nodes have, the greater is right: GPUs get lost. Of models nobody could say.
    """
    often = Counter(found.values())
    count, model = max(often, key=lambda one: (often[one], one[0]), default=(0, ""))
    most = 2 * often[count, model] > len(found)
    odd = {}
    for n, (its, name) in found.items():
        if its < count:
            odd[n] = f"{its} GPU{'s' * (its != 1)}, {count} on the others"
        elif most and its and name != model:
            odd[n] = f"{name}, {model or 'no GPU'} on the others"
    return odd


def _of_all(name: str, why: str) -> Mapping[str, Any]:
    return {"kind": "gpu", "time": time.time(), "node": name, "gpu": "all", "state": "fail", "why": why}


def _name(n: int, report: Mapping[str, Any]) -> str:
    """Of a node that left no report: as Slurm names it, where this is a job of Slurm's."""
    try:
        return expand(os.environ["SLURM_JOB_NODELIST"])[n]
    except (KeyError, ValueError, IndexError):
        return str(report.get("host") or f"node {n}")
