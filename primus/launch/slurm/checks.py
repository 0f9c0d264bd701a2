"""What is asked before a job is queued, so that it is refused at once and nothing is written."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from primus.launch import state
from primus.launch.handle import Handle
from primus.launch.problems import BadRequest
from primus.launch.slurm import array, controller, partitions
from primus.launch.slurm.options import Settings

_LOCAL = ("tmpfs", "ramfs", "devtmpfs")
"""Types of file systems that no other host can see."""
_NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "wekafs", "panfs", "pvfs2", "afs"),
    "fuse.*",
)
"""Those on which sqlite's locks are not to be relied on (https://www.sqlite.org/faq.html#q5); patterns."""
_OF_ONE_HOST = ("fuse.fuse-overlayfs", "fuse.squashfuse*", "fuse.encfs", "fuse.gocryptfs")


def cluster(settings: Settings, environ: Mapping[str, str], indices: Sequence[int] = ()) -> None:
    """Raise Unfit where no cluster answers, BadRequest where no partition gives what is asked for, or no array is long
    enough for the jobs of a sweep that have these `indices`."""
    controller.check_reachable(environ)
    answer = controller.call(["scontrol", "--all", "--oneliner", "show", "partition"], 15.0, environ)
    if answer.code == 0:
        for warning in partitions.check(settings, partitions.read(answer.out), environ):
            print(f"primus: {warning}", file=sys.stderr)
    if not settings.requeue and not indices:
        return
    answer = controller.call(["scontrol", "show", "config"], 15.0, environ)
    if answer.code != 0:
        return
    config = read_config(answer.out)
    array.check_size(indices, settings.jobs_per_element, config.get("MaxArraySize", ""))
    if settings.requeue and not asks_before_preemption(config):
        print(
            "primus: runtime.requeue: this cluster preempts jobs without asking them to save first (its "
            "SlurmctldParameters have no preempt_send_user_signal): a run that it preempts goes on from its last "
            "checkpoint (task.checkpoint.interval)",
            file=sys.stderr,
        )


def read_config(text: str) -> dict[str, str]:
    """slurm.conf as `scontrol show config` prints it."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in text.splitlines())}


def asks_before_preemption(config: Mapping[str, str]) -> bool:
    """Whether a job gets its signal (`sbatch --signal`) before it is preempted, or is never preempted, on a cluster of
    this configuration. Else the first that comes is a SIGTERM to every process of every step."""
    if config.get("PreemptType", "preempt/none") in ("preempt/none", "(null)", ""):
        return True
    return "preempt_send_user_signal" in config.get("SlurmctldParameters", "").split(",")


def elsewhere(earlier: Mapping[Path, Handle], key: str) -> bool:
    """Whether some of these runs are jobs of another cluster. Raises BadRequest for one of them without a result:
    whether it goes on, that cluster alone can tell."""
    here = controller.cluster() if any(owner.cluster for owner in earlier.values()) else None
    foreign = {directory: owner for directory, owner in earlier.items() if owner.foreign(here)}
    for directory, owner in foreign.items():
        if directory.is_dir() and not state.has_result(directory):
            raise BadRequest(
                f"{key}: {directory} has no result, and its job {owner.job} may go on in Slurm cluster "
                f"{owner.cluster}, which alone can tell: ask there with task=status"
            )
    return bool(foreign)


def output(directory: Path) -> None:
    """Raise BadRequest for a run directory that the nodes cannot see, by the type of its file system."""
    kind = file_system(directory)
    if kind in _LOCAL:
        raise BadRequest(
            f"output.root: {directory} is on {kind}, which only this machine sees; the nodes of a job write there too. "
            "Give a directory that they share: output.root=…"
        )


def store(uri: str | None, directory: Path) -> None:
    """Warn of an sqlite store on a network file system."""
    path = directory if uri is None else Path(uri.removeprefix("sqlite:///"))
    if (uri is None or uri.startswith("sqlite")) and is_network(kind := file_system(path)):
        print(
            f"primus: MLflow's database will be an sqlite file on {kind}, where jobs on several hosts can break it. "
            "Where more than one records at a time, run `mlflow server` and give tracking.uri=http://…",
            file=sys.stderr,
        )


def is_network(kind: str) -> bool:
    """Whether other hosts have a file system of this type too."""
    return any(fnmatch(kind, one) for one in _NETWORK) and not any(fnmatch(kind, one) for one in _OF_ONE_HOST)


def file_system(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that `path` is or would be on; empty where it cannot be told (not Linux)."""
    try:
        lines = (os.fsdecode(Path("/proc/self/mounts").read_bytes()) if mounts is None else mounts).split("\n")
    except OSError:
        return ""
    found, longest = "", -1
    target = str(path if mounts is not None else path.resolve()) + "/"
    for line in filter(None, lines):
        _, where, kind, *_ = line.split(" ")
        where = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), where)  # a space is \040
        if target.startswith(where.rstrip("/") + "/") and len(where) >= longest:
            found, longest = kind, len(where)
    return found
