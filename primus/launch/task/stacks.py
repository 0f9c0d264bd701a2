"""`task=stacks run=<run>`: what every rank of a run is in at this moment, without disturbing it."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from primus.launch import closing, state
from primus.launch.config.request import Request
from primus.launch.problems import JOB_FAILED, OK, BadRequest, Unfit
from primus.launch.record.files import node_reports, read_json
from primus.launch.task.status import named
from primus.node import rundir

_TICK = 0.05
_ANSWER = 30.0
"""Seconds: an agent looks every 2 for the question, and gives its ranks 20."""


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: the run is `run`."""

    name: str


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    return f"ask every node of {named(request, offline=True)} for the stacks of its ranks"


def act(task: Settings, request: Request) -> int:
    """Print what each rank is in, and where its whole stack is. Raises BadRequest for a run that does not run."""
    directory = named(request)
    found = state.read(directory)
    if found.jobs:
        raise BadRequest(f"{found.id} is a sweep: name one of its jobs, run={found.id}/0")
    if found.name not in ("RUNNING", "UNKNOWN"):
        raise BadRequest(f"{found.id} does not run, so no rank of it is in anything: it is {found.name}")
    nodes = range(int((read_json(directory / rundir.PLAN).get("job") or {}).get("nodes", 1)))
    over = [n for n, report in node_reports(directory).items() if report.get("outcome")]
    wanted = {n: directory / rundir.stacks(n) for n in nodes if n not in over}
    before = {n: _written(path) for n, path in wanted.items()}
    try:
        rundir.write_text(directory / rundir.LOOK, f"{uuid.uuid4()}\n")
    except OSError as error:
        raise Unfit(f"{directory / rundir.LOOK} cannot be written: {error.strerror}") from None
    until = time.monotonic() + _ANSWER
    while (late := [n for n, path in wanted.items() if _written(path) == before[n]]) and time.monotonic() < until:
        time.sleep(_TICK)
    for n, path in wanted.items():
        if n not in late:
            _show(n, path, several=len(nodes) > 1)
    for n in late:
        print(f"node {n} has not answered within {_ANSWER:g} s")
    return JOB_FAILED if late else OK


def _show(node: int, path: Path, several: bool) -> None:
    """The first line of each rank's part; the rest is for who wants to know more."""
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in text:
        if line.startswith("rank "):
            print(f"node {node}, {line}" if several else line)
    print(f"stacks  {closing.short(path)}")


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
