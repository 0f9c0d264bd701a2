"""The console script. Imports as little as possible before it knows what is asked: a misspelt option answers at once."""

import os
import sys


def main() -> None:
    """Run the command line; ends the process with the documented exit code."""
    from primus.launch.problems import INTERRUPTED, Complaint

    try:
        from primus.launch.app import execute

        code = execute(sys.argv[1:])
    except Complaint as complaint:
        print(f"primus: {complaint}", file=sys.stderr)
        code = complaint.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # `primus --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
