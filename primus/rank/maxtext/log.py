"""What MaxText says goes through the log as plain lines: the node agent puts time, node and rank before them."""

import io
import logging
import sys

from absl import flags
from absl import logging as absl_logging

# Said in every run on a machine of one's own, and no news there.
_NO_NEWS = (
    "WARNING: 'base_output_directory' might be pointing",
    "Skipping jax distributed system",
    "Using num_slices=",
    "Starting eval after train step",  # counted from 0; that it ended is said
    "Waiting for step",
    "Waited ",
    "Specifying dataset_type upon checkpointer creation",
    "TensorBoard disabled",
    "\nMemstats:",
    "\tMemstats unavailable",
)


class _News(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        inner = "/orbax/" in record.pathname and record.levelno <= logging.INFO  # fifty lines for every checkpoint
        return not inner and not record.getMessage().startswith(_NO_NEWS)


def open_log() -> None:
    """Give absl's log, which MaxText and Orbax speak through, the form of the other logs."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # else absl warns that it does not know its own flags yet
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.INFO)
    handler = absl_logging.get_absl_handler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(_News())
    for name in ("jax", "datasets"):  # what there is not, in every run
        logging.getLogger(name).setLevel(logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # MaxText prints beside its log
