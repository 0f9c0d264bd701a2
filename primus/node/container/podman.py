"""Podman's command line (podman run, 4.3)."""

from typing import List, Optional, Tuple

from primus.node.container import oci
from primus.node.container.start import Start

SEPARATORS = ',"'
"""What a path must not hold: `--mount` is a line of CSV."""


def argv(start: Start) -> Tuple[str, ...]:
    """The whole command that runs the container in the foreground."""
    # Its own limits are 2,048 processes, which eight ranks and their threads pass, and more open files than a node may
    # allow (as `--ulimit host` asks for in 4.3): so the node's own, as outside.
    given = {limit.partition("=")[0] for limit in oci.limits(start)}
    limits = ["--pids-limit", "-1"]
    for limit in start.node.limits:
        if limit.partition("=")[0] not in given:
            limits += ["--ulimit", limit]
    gpus = ("--device", "nvidia.com/gpu=all") if start.node.vendor == "nvidia" else ()  # CDI
    names = ("--userns", "keep-id") if start.node.uid and not start.container.user else ()  # without root
    return ("podman", "run", *oci.options(start), *limits, *names, *oci.user(start), *gpus, *oci.rest(start))


def inspect(image: str) -> Tuple[str, ...]:
    """See oci."""
    return oci.inspect("podman", image)


def pull(image: str) -> Optional[Tuple[str, ...]]:
    """See oci."""
    return oci.pull("podman", image)


def endings(name: str, grace_period: float) -> List[Tuple[str, ...]]:
    """See oci."""
    return oci.endings("podman", name, grace_period)


def listing(name: str) -> Tuple[str, ...]:
    """See oci."""
    return oci.listing("podman", name)
