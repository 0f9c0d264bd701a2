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
    from primus.node import part

    return part.run(sys.argv[1:])


if __name__ == "__main__":
    _find_primus()
    sys.exit(_main())
