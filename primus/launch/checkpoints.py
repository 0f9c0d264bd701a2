"""Which folder `task.checkpoint.load` and `checkpoint=` mean: that of a run's checkpoints, or one named itself."""

from pathlib import Path

from primus.launch import frozen
from primus.launch.problems import BadRequest
from primus.launch.replaying import finding
from primus.launch.replaying.finding import SavedRun
from primus.node import rundir

FOLDER = "checkpoints"
"""In the run directory, where `task.checkpoint.directory` names no other."""


def folder(key: str, word: str, backend: str, output_root: str, directory: Path) -> str:
    """The absolute path of the checkpoints that `<key>=<word>` names, a run or a folder; relative to `directory`.

    Raises BadRequest where there is no such run or folder, where the run has written no checkpoint, and where another
    backend has written it.
    """
    path = directory / Path(word).expanduser()
    if path.is_dir() and not (path / rundir.PLAN).is_file():
        return _not_empty(key, word, path.resolve())
    run = finding.find(key, str(path) if path.exists() else word, str(directory / output_root), None, offline=True)
    if run.plan.backend != backend:
        raise BadRequest(
            f"{key}={word}: its checkpoints are of {run.plan.backend or 'no backend'}, which {backend} cannot read"
        )
    return _not_empty(key, word, of_run(run))


def of_run(run: SavedRun) -> Path:
    """Where a recorded run kept its checkpoints. Raises BadRequest for one that has no run directory here."""
    if run.directory is None:
        raise BadRequest(f"{run.where} is an exported run: its checkpoints are in its run directory alone")
    settings = run.config.get("task", {}).get("checkpoint") or {}
    given = settings.get("directory")
    return frozen.stood_in(run.plan) / Path(given).expanduser() if given else run.directory / FOLDER


def _not_empty(key: str, word: str, path: Path) -> str:
    if not path.is_dir() or not any(path.iterdir()):
        raise BadRequest(f"{key}={word}: there is no checkpoint in {path}")
    return str(path)
