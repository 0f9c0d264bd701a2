"""handle.json: where a run is, for a command in another shell. Standard library alone: a Slurm job's first process too.

State is not kept here; `primus.launch.state` works it out each time.
"""

import getpass
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from primus.launch.problems import BadRequest
from primus.launch.record.files import read_json
from primus.node import host, process, rundir
from primus.node.digits import whole
from primus.node.typed import DataError, plain, read

_JOB_ID = re.compile(r"\d+(_\d+)?")


@dataclass(frozen=True)
class Handle:
    """Who owns a run or a sweep.

    `host`, `user` and `pid` are those of the launcher; `started` is when that process began, in clock ticks since the
    host's boot, so that another process with the same number is not taken for it. `job_id` is Slurm's, of a whole array
    too; `array_index` that of the run in it; `cluster` is the cluster's name. `submitted`: seconds since the epoch.
    `inode` is that of the directory that it was written into: a copy that somebody hands on has another. `behind`:
    other jobs come before it in its element (runtime.jobs_per_element); None where the element's number tells that.
    """

    runtime: str
    host: str
    user: str
    pid: int
    started: int | None
    submitted: float
    job_id: str | None = None
    array_index: int | None = None
    cluster: str | None = None
    inode: int | None = None
    behind: bool | None = None

    @property
    def job(self) -> str | None:
        """The job as Slurm's commands name it: `123`, or `123_4` for an element of an array."""
        if self.job_id is None or self.array_index is None:
            return self.job_id
        return f"{self.job_id}_{self.array_index}"

    def foreign(self, here: str | None) -> bool:
        """Whether its job is another cluster's than the one of this name, whose numbers of jobs are others."""
        return self.cluster is not None and here is not None and self.cluster != here

    def shares(self, directory: Path) -> bool:
        """Whether the job in this directory is not the first in its element of the array (runtime.jobs_per_element)."""
        if self.behind is not None:
            return self.behind
        return self.array_index is not None and directory.name != str(self.array_index)

    def alive(self) -> bool | None:
        """Whether the launcher lives; None where that cannot be told from this host."""
        if self.host != host.name():
            return None
        return process.began(self.pid) == self.started and self.started is not None


def ours(runtime: str, job_id: str | None = None, array_index: int | None = None, cluster: str | None = None) -> Handle:
    """The handle of a run that this process owns, as of now."""
    pid = os.getpid()
    return Handle(
        runtime, host.name(), user_name(), pid, process.began(pid), time.time(), job_id, array_index, cluster
    )  # fmt: skip


def write(directory: Path, handle: Handle) -> None:
    """Keep it, whole or not at all. Raises OSError."""
    rundir.write_json(directory / rundir.HANDLE, plain(replace(handle, inode=directory.stat().st_ino)))


def made_here(directory: Path) -> bool:
    """Whether this user began the run that is in this directory, in it: not one that was copied, unpacked or sent."""
    for folder in (directory, directory.parent):
        own, found = _read(folder), folder.stat()
        if own and own.inode == found.st_ino and found.st_uid == os.geteuid():
            return True
        if not (directory.parent / "sweep.json").is_file():
            break
    return False


def of(directory: Path) -> Handle | None:
    """The handle of a run or a sweep; a job of a sweep that has none of its own has that of the sweep.

    None where there is none that can be read.
    """
    own = _read(directory)
    if own or not (directory.parent / "sweep.json").is_file():
        return own
    above = _read(directory.parent)
    if above and above.job_id and whole(directory.name):
        return replace(above, array_index=int(directory.name))
    return above


def find(word: str, root: Path, uri: str | None, offline: bool = False) -> Path:
    """The directory that `run=<word>` names: of a run, a sweep, or one of its jobs.

    `word` is the directory, the run id (`<sweep>/<job>` in a sweep), the Slurm job id (`123`, `123_4`), or the MLflow
    run id, for which MLflow at `uri` is asked as well, unless `offline`. Raises BadRequest when there is none.
    """
    path = Path(word).expanduser()
    if path.is_dir():
        if not any((path / name).is_file() for name in (rundir.PLAN, "sweep.json")):
            raise BadRequest(f"run={word}: that folder is no run: it has no {rundir.PLAN}")
        return path.resolve()
    every = list(directories(root))
    found = [d for d in every if word == "/".join(d.relative_to(root).parts[1:])]
    found = found or _by_job_id(word, every)
    found = found or [d for d in every if read_json(d / rundir.RECORD).get("run_id") == word]
    if found:
        return found[-1].resolve()
    if not offline and "/" not in word and not _JOB_ID.fullmatch(word):
        from primus.launch.replaying import finding

        elsewhere = finding.find("run", word, str(root), uri, offline).directory
        if elsewhere:
            return elsewhere
    raise BadRequest(
        f"run={word}: no run of that directory, run id, MLflow run id or Slurm job id under {root}/. "
        "task=runs lists them; runs of another place need output.root=…"
    )


def directories(root: Path) -> Iterator[Path]:
    """Every run, sweep, and job of a sweep under an output root, oldest first; what begins with a dot is none."""
    for directory in sorted(root.glob("[!.]*/[!.]*"), key=lambda d: d.name):
        if (directory / "sweep.json").is_file():
            yield directory
            yield from sorted((d for d in directory.iterdir() if whole(d.name)), key=lambda d: int(d.name))
        elif (directory / rundir.PLAN).is_file():
            yield directory


def _by_job_id(word: str, every: list[Path]) -> list[Path]:
    if not _JOB_ID.fullmatch(word):
        return []
    named = [(d, handle) for d in every if (handle := of(d)) and handle.job_id]
    return [d for d, handle in named if word == handle.job]


def _read(directory: Path) -> Handle | None:
    data = read_json(directory / rundir.HANDLE)
    try:
        found = read(Handle, data) if data else None
    except DataError:
        return None
    # Slurm's commands get the job as an argument, and `--user=me` would be one too.
    return found if found and found.pid > 1 and re.fullmatch(r"\d+", found.job_id or "0") else None


def user_name() -> str:
    """The user's name, or the number where the host knows no name for it (a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
