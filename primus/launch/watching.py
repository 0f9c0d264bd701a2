"""When the nodes take a job for one that hangs."""

from primus.launch.config.request import Request
from primus.launch.task import Work
from primus.node.plan import WORKERS, Watchdog

AUTO = 1800.0
"""Seconds: Primus's ranks tell of every phase and every step, and none of these takes half an hour but by a fault. NCCL
and Gloo give up a collective sooner (torch 2.13: 10 and 30 minutes) unless a framework sets its own time."""


def of_request(request: Request, work: Work) -> Watchdog | None:
    """`watchdog.timeout=auto` is for ranks that are known to tell how they get on: those of Primus.

    A program of the user's, or a plugin's worker, may take any time between two signs of life.
    """
    asked = request.watchdog
    own = WORKERS in work.command and not work.command[2].endswith(".py")
    timeout = (AUTO if own else None) if asked.timeout == "auto" else asked.timeout
    return Watchdog(timeout, asked.action) if timeout is not None and work.command else None
