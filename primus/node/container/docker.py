"""Docker's command line (docker run, 28.2)."""

from typing import List, Optional, Tuple

from primus.node.container import oci
from primus.node.container.start import Start

SEPARATORS = ',"'
"""What a path must not hold: `--mount` is a line of CSV."""


def argv(start: Start) -> Tuple[str, ...]:
    """The whole command that runs the container in the foreground."""
    gpus = ("--gpus", "all") if start.node.vendor == "nvidia" else ()
    return ("docker", "run", *oci.options(start), *oci.user(start), *gpus, *oci.rest(start))


def inspect(image: str) -> Tuple[str, ...]:
    """See oci."""
    return oci.inspect("docker", image)


def pull(image: str) -> Optional[Tuple[str, ...]]:
    """See oci."""
    return oci.pull("docker", image)


def endings(name: str, grace_period: float) -> List[Tuple[str, ...]]:
    """See oci."""
    return oci.endings("docker", name, grace_period)


def listing(name: str) -> Tuple[str, ...]:
    """See oci."""
    return oci.listing("docker", name)
