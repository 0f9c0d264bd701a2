"""`task=report/compare runs=[a,b,c] to=FILE.html`: the report that sets any runs beside each other."""

from dataclasses import dataclass
from pathlib import Path

from primus.launch import closing
from primus.launch.config.request import Request
from primus.launch.problems import OK, BadRequest
from primus.launch.replaying import finding
from primus.launch.report import comparison, page, reading, writing
from primus.launch.report.reading import Run
from primus.launch.sweep import journal
from primus.node import rundir


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: the runs are `runs`, the file is `to`."""

    name: str


def describe(task: Settings, request: Request) -> str:
    """What `act` would do; looks for the runs, and writes nothing."""
    directories = _directories(request)
    return "\n".join([f"compare in {_target(request)}", *map(str, directories)])


def act(task: Settings, request: Request) -> int:
    """Write the report. Raises BadRequest for a run that is not there or a file that cannot be written."""
    to = _target(request)
    runs = [_run(directory) for directory in _directories(request)]
    try:
        rundir.write_text(to, page.html(comparison.page(to.stem, "", runs)))
    except OSError as error:
        raise BadRequest(f"to={to}: cannot be written: {error.strerror or error}") from None
    print(f"report  {closing.short(to)}  (runs: {len(runs)})")
    return OK


def _run(directory: Path) -> Run:
    try:
        return reading.run(directory)
    except (OSError, ValueError) as error:
        raise BadRequest(f"runs: {directory} is no run that can be read: {error}") from None


def _directories(request: Request) -> list[Path]:
    """The run directories that `runs` names, each once."""
    if not request.runs:
        raise BadRequest("task=report/compare needs runs: runs=[<run directory or id>,<another>,...]")
    return list(dict.fromkeys(directory for word in request.runs for directory in _named(word, request)))


def _named(word: str, request: Request) -> list[Path]:
    path = Path(word).expanduser().resolve()
    if batch := journal.read(path):
        return list(writing.started(path, len(batch.jobs)))
    found = finding.find("runs", word, request.output.root, request.tracking.uri, bool(request.dry_run))
    if found.directory is None:
        raise BadRequest(f"runs: {word} is a packed run: unpack it with `tar -xf`, and name the directory")
    return [found.directory]


def _target(request: Request) -> Path:
    if not request.to or not request.to.endswith(".html"):
        raise BadRequest("task=report/compare needs a file to write: to=FILE.html")
    return Path(request.to).expanduser().absolute()
