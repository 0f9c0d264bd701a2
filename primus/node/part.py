"""A node's part of a plan, from the words of the agent's command line to its exit code."""

import gc
import os
import sys
from typing import TYPE_CHECKING, Optional, Sequence

from primus.node import container, guard
from primus.node.arguments import USAGE, parse

if TYPE_CHECKING:
    from primus.node.plan import Plan


def run(words: Sequence[str], plan: "Optional[Plan]" = None) -> int:
    """Run it below a guard, or hold the container that it runs in. `plan`: what is in its file, where this process is a
    copy of one that has read it."""
    try:
        if "--inside" in words and "--shell" not in words:  # before all else: Slurm's variables come with it
            from primus.node.container import handover

            handover.receive(0, os.environ)
        arguments = parse(words, os.environ)
    except ValueError as error:
        print(f"primus: {error}\n{USAGE}", file=sys.stderr)
        return 2
    if arguments.at_terminal:
        from primus.node import shell

        return shell.run(arguments)

    def agent(pipe: int) -> int:
        gc.disable()  # imports leave no garbage, and to look for it takes a tenth of their time
        from primus.node.agent import run  # here: the guard stays small

        gc.enable()
        return run(arguments, pipe, plan)

    def lost(code: int) -> None:
        from primus.node.agent import lost

        lost(arguments, code)

    if not arguments.inside and container.wanted(arguments.plan, plan):
        from primus.node.container import starter

        code = starter.run(arguments)
    else:
        code = guard.run(agent, lost)
    if code and arguments.slurm and arguments.node_rank and not arguments.inside:
        from primus.node import survivor

        survivor.end_job(arguments)
    return code
