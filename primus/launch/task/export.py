"""`task=export run=<run> to=FILE.tar.gz`: a run as one file that `replay=` takes on another machine."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from primus.launch.config.request import Request
from primus.launch.problems import OK, BadRequest
from primus.launch.replaying import archive, finding


@dataclass(frozen=True)
class Settings:
    """`checkpoints`: with everything that the run saved."""

    name: str
    checkpoints: bool


def describe(task: Settings, request: Request) -> str:
    """What `act` would do; looks, and writes nothing."""
    return f"pack {_source(request)} into {_target(request)}"


def act(task: Settings, request: Request) -> int:
    """Write the file. Raises BadRequest for a run that is not there or a file that cannot be written."""
    directory, to = _source(request), _target(request)
    size = archive.pack(directory, to, task.checkpoints)
    print(f"{to}  ({size / 1e6:.1f} MB)\nreplay  primus replay={shlex.quote(str(to))}")
    return OK


def _source(request: Request) -> Path:
    if not request.run:
        raise BadRequest("task=export needs a run: run=<run directory or id>")
    found = finding.find("run", request.run, request.output.root, request.tracking.uri, bool(request.dry_run))
    if found.directory is None:
        raise BadRequest(f"run={request.run} is a packed run already")
    return found.directory


def _target(request: Request) -> Path:
    if not request.to:
        raise BadRequest("task=export needs a file to write: to=FILE.tar.gz or to=FILE.tar.zst")
    return Path(request.to).expanduser()
