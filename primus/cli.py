"""The console scripts. Imports little before it knows what is asked: a misspelt option answers at once."""

import contextlib
import gc
import importlib
import logging
import os
import sys


def main() -> None:
    """`primus`: run the command line; ends the process with the documented exit code."""
    _end_with("primus", "primus.launch.app")


def primus_cli() -> None:
    """`primus-cli`: the same by the grammar of AMD's launcher."""
    _end_with("primus-cli", "primus.launch.cli.main")


def _end_with(program: str, module: str) -> None:
    """Hand the command line to `execute` of a module."""
    from primus.launch import streams

    streams.open_all()
    gc.disable()  # until the config is composed: importing and composing leave no garbage, and 40 ms less is to be felt
    logging.raiseExceptions = False  # `primus --info | head`: Hydra prints through logging
    from primus.launch.problems import BAD_REQUEST, INTERRUPTED, Complaint
    from primus.node.secrets import redact_url

    try:
        code: int = importlib.import_module(module).execute(sys.argv[1:])
    except BrokenPipeError:  # `primus --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (Complaint, OSError) as error:
        if {"debug=true", "--debug"} & set(map(str.lower, sys.argv)):
            _print_traceback(error)
        print(f"{program}: {redact_url(str(error))}", file=sys.stderr)
        code = error.exit_code if isinstance(error, Complaint) else BAD_REQUEST
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:  # of Hydra's own exits as well
        with contextlib.suppress(KeyboardInterrupt):
            streams.settle()
    sys.exit(code)


def _print_traceback(error: BaseException) -> None:
    """The traceback with whatever led to it: Complaints are raised `from None`, to be read without it."""
    import traceback

    from primus.node.secrets import redact_url

    link: BaseException | None = error
    while link:
        link.__suppress_context__ = False
        link = link.__cause__ or link.__context__
    print(redact_url("".join(traceback.format_exception(error))), end="", file=sys.stderr)
