"""Apptainer's command line (apptainer exec, 1.3)."""

import uuid
from typing import List, Optional, Tuple

from primus.node.container.start import Start
from primus.node.plan import Mount

SEPARATORS = ",:"
"""What a path must not hold: `--bind` is a list of source:target:options."""


def argv(start: Start) -> Tuple[str, ...]:
    """The whole command. Its processes are the caller's descendants, in its namespaces, under its user and limits."""
    container = start.container
    gpus = {"nvidia": ("--nv",), "amd": ("--rocm",)}.get(start.node.vendor, ())
    words = ["apptainer", "exec", "--cleanenv", "--no-home", "--no-eval", *gpus, "--pwd", start.directory]
    for mount in start.mounts:
        words += ["--bind", _bind(mount)]
    for variable in container.environment:
        if "=" in variable:
            words += ["--env", variable]
    return (*words, *container.options, container.image, *start.command)


def pull(image: str) -> Optional[Tuple[str, ...]]:
    """None: `exec` itself fetches an image that is named by an address (docker://...)."""
    return None


def endings(name: str, grace_period: float) -> List[Tuple[str, ...]]:
    """Nothing: there is no daemon, and descendants are ended without one."""
    return []


def listing(name: str) -> Tuple[str, ...]:
    """Prints nothing, for the same reason."""
    return ("true",)


def digest(image: str) -> Optional[str]:
    """The id that its maker gave a SIF file (sif's Header.ID: 16 bytes after launch script, magic, version and
    architecture); None for a folder or an address."""
    try:
        with open(image, "rb") as file:
            head = file.read(64)
    except OSError:
        return None
    return f"sif:{uuid.UUID(bytes=head[48:64])}" if head[32:42].rstrip(b"\0") == b"SIF_MAGIC" else None


def _bind(mount: Mount) -> str:
    return f"{mount.source}:{mount.target}" + (":ro" if mount.read_only else "")
