"""The record of a sweep: a parent run in MLflow, of which the jobs' runs are children."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from primus.launch.record import content, files
from primus.launch.record.recording import Recording, common_tags
from primus.launch.record.store import Metric
from primus.launch.report import writing
from primus.node import rundir

SWEEP = "sweep.json"
_CURVES = 30
"""Jobs whose curves MLflow is asked to draw: each costs 40 of the characters that a note may have."""


class SweepRecord(Recording):
    """Records a sweep directory itself, not its jobs."""

    def ended(self) -> bool:
        """Whether the sweep is over."""
        return "status" in read(self.directory)

    def advance(self) -> bool:
        """Create the parent run, and close it once the sweep is over; True then. Raises Unavailable and Refused."""
        sweep = read(self.directory)
        if "status" in sweep:
            writing.of_sweep(self.directory)
        if self.record.complete and "status" not in sweep:  # taken up again, by sweep.resume or a sweeper's next batch
            self.save(replace(self.record, complete=False, artifacts=()))
        if not self.record.run_id:
            started = (self.directory / SWEEP).stat().st_mtime
            self.create(sweep["experiment"], sweep["id"], started, self._tags(sweep))
            return False  # its jobs first: what it says at its end names their runs
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
            "mlflow.note.content": content.sweep_note(sweep["id"], str(self.directory), rows, self.links()),
        }

    def links(self) -> list[str]:
        """Links to the report, and to the loss of all jobs in one chart of MLflow."""
        records = [files.read_json(job / rundir.RECORD) for job in jobs(self.directory)]
        runs = [r["run_id"] for r in records if r.get("run_id") and r.get("tracking_uri") == self.store.shown]
        if not self.record.experiment_id or not 1 < len(runs) <= _CURVES:
            return super().links()
        page = content.curves_page(self.record.experiment_id, runs, "loss")
        return [*super().links(), f"[Loss of all jobs in one chart]({page})"]

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
        self.alone(sweep["experiment"])
        self.store.log(run_id, self._losses(sweep), tags=self.new(self._tags(sweep)))
        self.store.finish(run_id, sweep["status"], (self.directory / SWEEP).stat().st_mtime)
        self.upload([SWEEP, *([rundir.REPORT] if (self.directory / rundir.REPORT).is_file() else [])])
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
    if files.read_json(directory / rundir.HANDLE).get("job_id"):  # an array: written down long before they may start
        folders = [f for f in folders if (f / rundir.node_facts(0)).exists() or (f / rundir.RESULT).exists()]
    return [folder for folder in folders if (folder / rundir.PLAN).exists()]


@lru_cache(maxsize=1)
def _parsed(path: Path, inode: int, changed: int) -> dict[str, Any]:
    """The file as of one change of it: it is looked at many times a second, and large sweeps have large ones."""
    return files.read_json(path)
