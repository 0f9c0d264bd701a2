"""The record of a sweep: a parent run in MLflow, of which the jobs' runs are children."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from primus.launch.record import content, files
from primus.launch.record.recording import Recording, common_tags
from primus.launch.record.store import Metric
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
        if self.record.complete and "status" not in sweep:  # taken up again, by sweep.resume or a sweeper's next batch
            self.save(replace(self.record, complete=False, artifacts=()))
        if not self.record.run_id:
            started = (self.directory / SWEEP).stat().st_mtime
            self.create(sweep["experiment"], sweep["id"], started, self._tags(sweep))
        if "status" in sweep and not self.record.complete:
            self._finish(sweep)
        return self.record.complete

    def _tags(self, sweep: dict[str, Any]) -> dict[str, str]:
        rows = [(job["index"], job["overrides"], self._result(job["index"])) for job in sweep["jobs"]]
        return {
            **common_tags(self.directory),
            "primus.task": "sweep",
            "primus.sweep": sweep["id"],
            "primus.status": sweep.get("status", "RUNNING"),
            "mlflow.note.content": content.sweep_note(sweep["id"], str(self.directory), rows),
        }

    def _losses(self, sweep: dict[str, Any]) -> list[Metric]:
        """The last loss of each job over its index, and the best: a chart of the sweep on its own page."""
        ended = (self.directory / SWEEP).stat().st_mtime
        found = {job["index"]: content.loss(self._result(job["index"])) for job in sweep["jobs"]}
        losses = {index: value for index, value in found.items() if value is not None}
        best = [Metric("best_loss", min(losses.values()), ended, 0)] if losses else []
        return [*(Metric("loss", value, ended, index) for index, value in losses.items()), *best]

    def _result(self, index: int) -> dict[str, Any]:
        return files.read_json(self.directory / str(index) / rundir.RESULT)

    def _finish(self, sweep: dict[str, Any]) -> None:
        run_id = str(self.record.run_id)
        self.store.log(run_id, self._losses(sweep), tags=self.new(self._tags(sweep)))
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
