"""`python -m primus.launch.record --directory DIR [--lifeline FD] [--once] [--wait SECONDS]`

Exit code 0: the record is complete. 1: it is not, record.json says why, and `--once` can complete it later.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from primus.launch.record.files import output_root
from primus.launch.record.follow import Follower, GaveUp
from primus.launch.record.lifeline import Lifeline
from primus.launch.record.store import Store, tracking_uri


def main(argv: Sequence[str] | None = None) -> int:
    """Record one run directory or sweep directory."""
    parser = argparse.ArgumentParser(prog="python -m primus.launch.record")
    parser.add_argument("--directory", type=Path, required=True, help="a run directory or a sweep directory")
    parser.add_argument("--lifeline", type=int, help="descriptor of a pipe that ends when the launcher does")
    parser.add_argument("--once", action="store_true", help="complete the record of what is over, and exit")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to try once the run is over")
    options = parser.parse_args(argv)
    directory = options.directory.resolve()
    root = output_root(directory)
    follower = Follower(directory, Store(tracking_uri(root), root), Lifeline(options.lifeline))
    try:
        if options.once:
            follower.once(options.wait)
        else:
            follower.until_over(options.wait)
    except GaveUp:
        follower.give_up()
    finally:
        follower.close()
    for problem in follower.problems:
        print(f"primus: the MLflow record is not complete: {problem}", file=sys.stderr)
    return 1 if follower.problems else 0


def stand_back() -> None:
    """Let the ranks go first on a busy host, and outlive the terminal, whose signals go to all that runs in it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(5)


if __name__ == "__main__":
    stand_back()
    sys.exit(main())
