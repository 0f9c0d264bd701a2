"""Which folder `task.checkpoint.load` and `checkpoint=` mean: that of a run's checkpoints, or one named itself."""

import os
from pathlib import Path

from primus.launch import frozen, handle
from primus.launch.problems import BadRequest
from primus.launch.replaying import finding
from primus.launch.replaying.finding import SavedRun
from primus.node import checkpoints, rundir
from primus.node.plan import Note


def folder(key: str, word: str, backend: str, output_root: str, directory: Path) -> str:
    """The absolute path of the checkpoints that `<key>=<word>` names, a run or a folder; relative to `directory`.

    Raises BadRequest where there is no such run or folder, where it has no checkpoint that is whole by its names and
    sizes, and where another backend has written it. Ranks look once more, and at checksums.
    """
    path = directory / Path(word).expanduser()
    if path.is_dir() and not (path / rundir.PLAN).is_file():
        return _whole(key, word, path.resolve(), backend)
    run = finding.find(key, str(path) if path.exists() else word, str(directory / output_root), None, offline=True)
    if run.plan.backend != backend:
        way_out = f": give backend={run.plan.backend}" if run.plan.backend else ""
        raise BadRequest(
            f"{key}={word}: its checkpoints are of {run.plan.backend or 'no backend'}, which {backend} cannot read"
            f"{way_out}"
        )
    return _whole(key, word, of_run(run), backend)


def of_run(run: SavedRun) -> Path:
    """Where a recorded run kept its checkpoints. Raises BadRequest for one that has no run directory here."""
    if run.directory is None:
        raise BadRequest(f"{run.where} is an exported run: its checkpoints are in its run directory alone")
    settings = run.config.get("task", {}).get("checkpoint") or {}
    given = settings.get("directory")
    return frozen.stood_in(run.plan) / Path(given).expanduser() if given else run.directory / checkpoints.FOLDER


def check_resumable(run: SavedRun) -> None:
    """Raise BadRequest where a run has checkpoints, and all of them are damaged: its ranks would refuse them."""
    backend = run.plan.backend or ""
    path = of_run(run)
    if backend not in checkpoints.KINDS or not path.is_dir():
        return
    found = checkpoints.judged(path, backend)
    if found.whole is None and found.damaged:
        raise BadRequest(
            f"{checkpoints.refusal(f'resume={run.where}', path, found.passed)}. To begin from scratch all the same, "
            "move that folder away; replay= begins another run"
        )


def cautions(load: str | None) -> tuple[Note, ...]:
    """A warning where the checkpoint that is to be loaded may be a stranger's.

    All three frameworks unpickle parts of theirs, and what is unpickled can run anything: no reader of ours stands
    between.
    """
    if not load:
        return ()
    path = Path(load)
    run = next((folder for folder in (path, *path.parents) if (folder / rundir.PLAN).is_file()), None)
    ours = handle.made_here(run) if run else path.stat().st_uid in (0, os.geteuid())
    if ours:
        return ()
    text = f"{load} is not of a run that you began here: load it only if you trust who made it, for it can run programs"
    return (Note("checkpoint", text, warning=True),)


def _whole(key: str, word: str, path: Path, backend: str) -> str:
    if not path.is_dir() or not any(path.iterdir()):
        raise BadRequest(f"{key}={word}: there is no checkpoint in {path}")
    if backend not in checkpoints.KINDS:  # a plugin's, which alone knows
        return str(path)
    if checkpoints.is_one(path, backend):
        why = checkpoints.problem(path, backend)
        if why:
            raise BadRequest(f"{key}={word}: {path} is not complete: {why}")
        return str(path)
    below = path / checkpoints.FOLDER
    found = checkpoints.judged(below if below.is_dir() else path, backend)
    if found.whole is None:
        raise BadRequest(checkpoints.refusal(f"{key}={word}", path, found.passed))
    return str(path)
