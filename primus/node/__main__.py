"""`python <primus>/node --plan <run directory>/plan.json --node-rank 0`: run this node's part of a plan.

Any Python >= 3.9 runs this folder as it lies, mounted or copied, with nothing installed.
"""

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 -- whatever interpreter an image has may be tried
    sys.exit(f"primus: the node agent needs Python 3.9 or newer, {sys.executable} is {sys.version.split()[0]}")


def _find_primus() -> None:
    """Import `primus` from where this file lies; neither this folder nor what is beside `primus` stays on sys.path."""
    node = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != node]
    beside = os.path.dirname(os.path.dirname(node))
    sys.path.insert(0, beside)
    import primus  # noqa: F401 -- its submodules are found by its own __path__ from now on

    sys.path.remove(beside)


def _main() -> int:
    if sys.argv[1:2] == ["--checks"]:
        from primus.node.checks import program

        return program.main(sys.argv[2])
    from primus.node import container, guard
    from primus.node.arguments import USAGE, parse

    try:
        if "--inside" in sys.argv and "--shell" not in sys.argv:  # before all else: Slurm's variables come with it
            from primus.node.container import handover

            handover.receive(0, os.environ)
        arguments = parse(sys.argv[1:], os.environ)
    except ValueError as error:
        print(f"primus: {error}\n{USAGE}", file=sys.stderr)
        return 2
    if arguments.at_terminal:
        from primus.node import shell

        return shell.run(arguments)

    def agent(pipe: int) -> int:
        from primus.node.agent import run  # here: the guard stays small

        return run(arguments, pipe)

    def lost(code: int) -> None:
        from primus.node.agent import lost

        lost(arguments, code)

    if not arguments.inside and container.wanted(arguments.plan):
        from primus.node.container import starter

        code = starter.run(arguments)
    else:
        code = guard.run(agent, lost)
    if code and arguments.slurm and arguments.node_rank and not arguments.inside:
        from primus.node import survivor

        survivor.end_job(arguments)
    return code


if __name__ == "__main__":
    _find_primus()
    sys.exit(_main())
