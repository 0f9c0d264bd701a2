"""Node 0 of a Slurm job is lost, and with it what would have ended the job: a node that is left does that instead.

Slurm itself misses a node after SlurmdTimeout, 300 s unless the cluster says otherwise, and until then the job holds
all nodes that are left.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from primus.node import guard, host, log, process, rundir
from primus.node.arguments import Arguments

_SECONDS = 300.0
"""Time limit: what is asked has shorter ones of its own."""


def end_job(arguments: Arguments) -> None:
    """Called on the host of a node other than the first, once its part has failed; does nothing unless node 0 is lost.

    Runs what decides on the launch side (primus/launch/job/survivor.py), for as long as Slurm lets this process live.
    """
    directory = arguments.plan.parent
    if not _lost_the_first(directory / rundir.node_facts(arguments.node_rank)):
        return
    # The dying srun may have its step ended, and these processes with it, while the job goes on. What is started here
    # inherits this, and looks for itself whether it is the job that is being ended.
    signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING)
    with suppress(OSError):
        rundir.write_text(directory / rundir.ORPHANED, f"{arguments.node_rank}\n")
    program = Path(__file__).resolve().parents[1] / "launch" / "job" / "__main__.py"
    argv = [sys.executable, "-I", "-S", str(program), "--directory", str(directory), "--survivor"]
    code, _, errors = process.converse([*argv, str(arguments.node_rank)], _SECONDS, env=os.environ)
    if code:
        text = f"this node cannot end the job in the place of node 0 (exit code {code}): {errors.strip()}"
        with suppress(OSError), (directory / rundir.agent_log(arguments.node_rank)).open("ab") as file:
            file.write(log.line(" ".join(text.split()), time.time(), f"{host.name()} agent", "ERROR"))


def _lost_the_first(facts: Path) -> bool:
    """A node other than the first is linked to that one alone."""
    try:
        outcome = json.loads(facts.read_text(encoding="utf-8")).get("outcome") or {}
    except (OSError, ValueError):
        return False
    return bool(outcome.get("lost"))
