"""The agent's side of the checks: it starts them as it starts a rank, and judges by what they leave behind."""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Optional, Sequence

from primus.node import environment, host, rundir
from primus.node.console import Console
from primus.node.ending import Requests
from primus.node.loop import Loop
from primus.node.outcome import UNFIT, Outcome, RankEnd, judge, unfit
from primus.node.output import Output
from primus.node.plan import Plan
from primus.node.prepare import Prepared
from primus.node.secrets import redactor
from primus.node.supervise import Command, Supervisor

_NODE = Path(__file__).resolve().parents[1]
_LEEWAY = 10.0
"""Seconds that the checks may take beyond the time that they give themselves: a file system that hangs holds them."""


def run(
    plan: Plan, part: Prepared, directory: Path, loop: Loop, ranks: Supervisor, requests: Requests
) -> Optional[Outcome]:
    """Run the checks of this node to their end; None where nothing speaks against the job.

    They tell the other nodes themselves: none of those is ended because one has failed.
    """
    assert plan.job.checks
    command = _command(plan, part, directory)
    report = directory / rundir.checks_report(command.rank, plan.job.checks)
    report.unlink(missing_ok=True)
    within = float(json.loads((directory / f"{plan.job.checks}.json").read_text(encoding="utf-8"))["within"])
    redact = redactor(part.secrets)
    overlap = max((len(os.fsencode(secret)) for secret in part.secrets), default=0)
    console = Console(loop)
    source = f"{host.name()} {plan.job.checks}"
    output = Output(source, str(directory / command.log), redact, overlap, None if command.rank else console.show)
    failed, ranks.failed = ranks.failed, lambda end: None
    try:
        ranks.start(command, output)
    except OSError as error:
        return unfit(f"the checks of the node cannot be started: {command.argv[0]}: {error.strerror}")
    until = time.monotonic() + within + _LEEWAY
    loop.after(within + _LEEWAY, lambda: None)
    while ranks.running and time.monotonic() < until:
        loop.turn()
    if ranks.running:
        ranks.kill()
    while ranks.running:
        loop.turn()
    ends = ranks.finish()
    console.finish()
    ranks.failed = failed
    if requests.reason:
        return judge(ends, requests.reason, requests.code, False)
    return _judge(plan.job.checks, ends, report, within + _LEEWAY)


def _command(plan: Plan, part: Prepared, directory: Path) -> Command:
    checks = str(plan.job.checks)
    n = part.world.node_rank
    run = {"PRIMUS_RUN_DIR": str(directory), "PRIMUS_RUN_ID": plan.run_id}
    world = replace(part.world, ranks_per_node=1)
    environ = environment.for_rank(part.base, part.environment, world, n, run)
    argv = (sys.executable, "-I", "-S", str(_NODE / "__main__.py"), "--checks", checks)
    return Command(n, argv, environ, str(directory), rundir.checks_log(n, checks), (signal.SIGUSR1, signal.SIGUSR2))


def _judge(checks: str, ends: Sequence[RankEnd], report: Path, seconds: float) -> Optional[Outcome]:
    """By the report, whatever became of the process since."""
    with suppress(OSError, ValueError, KeyError):
        found = json.loads(report.read_text(encoding="utf-8"))
        return None if found["passed"] else unfit(f"{checks}: {found['message']}", UNFIT)
    (end,) = ends
    why = f"took longer than {seconds:g} s and were killed" if end.stopped else f"broke (exit code {end.exit_code})"
    return unfit(f"{checks}: the checks of {host.name()} {why}; what they said last is in {end.log}")
