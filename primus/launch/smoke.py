"""The reports of the nodes of a smoke test in one place, once all is over. Standard library: a Slurm job does it."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from primus.launch.record.files import node_reports, read_json
from primus.node import rundir
from primus.node.allocation import expand

NAME = "smoke"
PASSING, FAILING = "smoke/passing.txt", "smoke/failing.txt"
"""Names of nodes with commas between, for runtime.nodelist and runtime.exclude."""


def gather(directory: Path) -> None:
    """Write the rows of results and both lists of nodes. A node that left no report has failed."""
    job = read_json(directory / rundir.PLAN).get("job") or {}
    if job.get("checks") != NAME or job.get("command"):
        return
    rows: list[Mapping[str, Any]] = []
    names: dict[bool, list[str]] = {True: [], False: []}
    seen = node_reports(directory)
    for n in range(int(job.get("nodes", 1))):
        report = read_json(directory / rundir.checks_report(n, NAME))
        name = str(report.get("node") or _name(n, seen.get(n, {})))
        names[bool(report.get("passed"))].append(name)
        silent = {"kind": "gpu", "time": time.time(), "node": name, "gpu": "all", "state": "fail", "why": "no report"}
        rows += report.get("rows") or [silent]
    for state, listed in (("pass", names[True]), ("fail", names[False])):
        rows.append(
            {"kind": "nodes", "time": time.time(), "state": state, "count": len(listed), "names": ",".join(listed)}
        )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    rundir.write_text(directory / rundir.RESULTS, text)
    for path, listed in ((PASSING, names[True]), (FAILING, names[False])):
        rundir.write_text(directory / path, ",".join(listed) + "\n")


def _name(n: int, report: Mapping[str, Any]) -> str:
    """Of a node that left no report: as Slurm names it, where this is a job of Slurm's."""
    try:
        return expand(os.environ["SLURM_JOB_NODELIST"])[n]
    except (KeyError, ValueError, IndexError):
        return str(report.get("host") or f"node {n}")
