"""Which paths of the node a container sees."""

import os
from typing import Collection, List, Sequence, Tuple

from primus.node import rundir
from primus.node.plan import Mount, Plan

# An image without its own is no image any more; a folder below one of these may be mounted.
_OF_THE_IMAGE = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
                 "/sys", "/tmp", "/usr", "/var")  # fmt: skip


def of_plan(plan: Plan, package: str) -> Tuple[Mount, ...]:
    """The user's mounts, the run directory, and what is only read: Primus (`package`), the source tree, the plan.

    Each at its own path. A link to one of the trees is followed: the container has what it leads to as well.
    """
    assert plan.container
    run = plan.directory
    read = [
        path
        for tree in (
            package,
            plan.code.directory,
            plan.job.directory,
            os.path.join(run, rundir.SOURCE),
            os.path.join(run, rundir.PLUGINS),
        )
        for path in (tree, os.path.realpath(tree))
        if not _inside(path, run)
    ]
    kept = [path for path in dict.fromkeys(read) if not any(_inside(path, other) for other in read if other != path)]
    found = [*(Mount(path, path, True) for path in kept), Mount(run, run)]
    found.append(Mount(os.path.join(run, rundir.PLAN), os.path.join(run, rundir.PLAN), True))
    given = {mount.target for mount in plan.container.mounts}
    return (*(mount for mount in found if mount.target not in given), *plan.container.mounts)


def problems(mounts: Sequence[Mount], separators: str, to_be_made: Collection[str] = ()) -> List[str]:
    """What keeps these from being mounted on this node: a source that is missing, a path that no engine or this one
    can take.

    What lies in `to_be_made` need not be there yet.
    """
    found = []
    for mount in mounts:
        found += by_name(mount, separators)
        if not os.path.exists(mount.source) and not any(_inside(mount.source, path) for path in to_be_made):
            found.append(f"{mount.source} is not there")
    return found


def by_name(mount: Mount, separators: str, instead: str = "mount") -> List[str]:
    """What is wrong with its paths, whatever a node has: one that the engine cannot read, or that is the image's own.
    `instead`: what to do with a folder below that. Pure."""
    found = []
    for path in dict.fromkeys((mount.source, mount.target)):
        odd = [mark for mark in (*separators, "\n") if mark in path]
        if odd:
            found.append(f"{path!r} holds {odd[0]!r}, which the engine takes for the end of a path")
    if mount.target in _OF_THE_IMAGE:
        found.append(f"{mount.target} of the node would hide the image's own: {instead} a folder below it")
    return found


def _inside(path: str, other: str) -> bool:
    return path == other or path.startswith(other.rstrip("/") + "/")
