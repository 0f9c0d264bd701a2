"""The record of a sweep: a parent run in MLflow, of which the jobs' runs are children."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from primus.launch.record import content, files
from primus.launch.record.recording import Recording, common_tags
from primus.node import rundir

SWEEP = "sweep.json"


class SweepRecord(Recording):
    """Records a sweep directory itself, not its jobs."""

    def ended(self) -> bool:
        """Whether the sweep is over."""
        return "status" in read(self.directory)

    def advance(self) -> bool:
        """Create the parent run, and close it once the sweep is over; True then. Raises Unavailable and Refused."""
        sweep = read(self.directory)
        if not self.record.run_id:
            started = (self.directory / SWEEP).stat().st_mtime
            self.create(sweep["experiment"], sweep["id"], started, self._tags(sweep))
        if "status" in sweep and not self.record.complete:
            self._finish(sweep)
        return self.record.complete

    def _tags(self, sweep: dict[str, Any]) -> dict[str, str]:
        rows = [
            (job["index"], job["overrides"], files.read_json(self.directory / str(job["index"]) / rundir.RESULT))
            for job in sweep["jobs"]
        ]
        return {
            **common_tags(self.directory),
            "primus.task": "sweep",
            "primus.sweep": sweep["id"],
            "primus.status": sweep.get("status", "RUNNING"),
            "mlflow.note.content": content.sweep_note(sweep["id"], str(self.directory), rows),
        }

    def _finish(self, sweep: dict[str, Any]) -> None:
        run_id = str(self.record.run_id)
        if tags := self.new(self._tags(sweep)):
            self.store.log(run_id, tags=tags)
        self.store.finish(run_id, sweep["status"], (self.directory / SWEEP).stat().st_mtime)
        self.upload([SWEEP])
        self.save(replace(self.record, complete=True, errors=()))


def read(directory: Path) -> dict[str, Any]:
    """sweep.json; empty when the directory is not that of a sweep."""
    path = directory / SWEEP
    try:
        stat = path.stat()
    except FileNotFoundError:
        return {}
    return dict(_parsed(path, stat.st_ino, stat.st_mtime_ns))


def jobs(directory: Path) -> list[Path]:
    """Run directories of the jobs of a sweep that have started."""
    folders = [directory / str(job["index"]) for job in read(directory).get("jobs", [])]
    return [folder for folder in folders if (folder / rundir.PLAN).exists()]


@lru_cache(maxsize=1)
def _parsed(path: Path, inode: int, changed: int) -> dict[str, Any]:
    """The file as of one change of it: it is looked at many times a second, and large sweeps have large ones."""
    return files.read_json(path)
