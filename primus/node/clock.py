"""A clock for what is compared and subtracted: it agrees with the host's when the process starts, and never jumps.

The host's own (time.time) is for what people read: somebody may set it, by hours, in the middle of a job.
"""

import time

_AT_START = time.time() - time.monotonic()


def steady() -> float:
    """Seconds since the epoch, by the host's clock as it was when this process started."""
    return _AT_START + time.monotonic()
