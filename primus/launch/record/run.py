"""The record of one run directory, brought up to date step by step. Every step can be repeated."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from primus.launch.diagnosis.text import tail
from primus.launch.record import content, files, metrics
from primus.launch.record.recording import Recording, common_tags
from primus.launch.record.state import Record
from primus.launch.record.store import Metric, Store
from primus.launch.report import writing
from primus.launch.results import Columns, task
from primus.launch.snapshot import REVISION
from primus.node import rundir
from primus.node.plan import from_json

_LOG_END = 1 << 18
"""Bytes at the end of a failed rank's log in which its traceback is looked for."""

_PATIENCE = 60.0
"""Seconds that the losses of a rank wait, while the job runs, for a line of the ranks below it."""

_PACKAGES = "packages.txt"


class RunRecord(Recording):
    """Records one run directory."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._plan = from_json((directory / rundir.PLAN).read_text(encoding="utf-8"))
        self._started = (directory / rundir.PLAN).stat().st_mtime
        self._report: dict[str, Any] = {}
        self._revision: dict[str, Any] = {}
        self._since: float | None = None
        super().__init__(directory, store)
        self._goes_on = self.record.run_id is not None and not self.ended()  # resumed, or another recorder's

    def ended(self) -> bool:
        """Whether the run is over."""
        return (self.directory / rundir.RESULT).exists()

    def advance(self) -> bool:
        """Record what is new; True once the record is complete. Raises store.Unavailable and store.Refused."""
        if self.record.complete:
            return True
        result = files.read_json(self.directory / rundir.RESULT)  # read first: what the ranks wrote is all there then
        if result:
            writing.of_run(self.directory)  # before all else: also where MLflow takes nothing
        self._report = self._report or files.read_json(self.directory / rundir.node_facts(0))
        self._revision = self._revision or files.read_json(self.directory / REVISION)
        traceback = self._traceback(result)
        name = self._plan.config["experiment"]["name"]
        self.create(name, self._name(), self._started, self._tags(result, traceback))
        if self._goes_on:
            self.store.reopen(str(self.record.run_id))
            self._goes_on = False
        self._log(self._tags(result, traceback), bool(result))
        self.upload(files.early_artifacts(self.directory))
        if result:
            self._finish(result)
        return self.record.complete

    def points(self) -> Iterator[Metric]:
        """Every point of the metric files, by its name in MLflow; what has been recorded of them too."""
        known = Record(loss_rank=self.record.loss_rank)
        for batch in metrics.new(self.directory, known, self._plan.job.nodes, self._columns(), self.ended()):
            yield from batch.metrics

    def _name(self) -> str:
        return f"{self._plan.sweep}/{self._plan.run_id}" if self._plan.sweep else self._plan.run_id

    def _tags(self, result: dict[str, Any], traceback: str | None) -> dict[str, str]:
        """All tags that are known by now."""
        note = content.note(
            self._plan, str(self.directory), self.record.run_id, result, traceback, self.links() if result else ()
        )
        tags = {
            **common_tags(self.directory),
            **content.plan_tags(self._plan),
            **content.report_tags(self._plan, self._report, self._revision),
            **content.result_tags(result, traceback),
            "mlflow.note.content": note,
        }
        parent = files.read_json(self.directory.parent / rundir.RECORD) if self._plan.sweep else {}
        if parent.get("tracking_uri") == self.store.shown and parent.get("run_id"):
            tags[content.PARENT] = parent["run_id"]
        return {name: content.cut(value, content.TAG_LENGTH) for name, value in tags.items()}

    def _log(self, tags: dict[str, str], over: bool) -> None:
        """Log what is new, in as few calls as can be: a sweep of short jobs waits for them."""
        run_id, unsent = str(self.record.run_id), self.new(tags)
        parameters = {} if self.record.described else content.parameters(self._plan.config)
        nodes, columns = self._plan.job.nodes, self._columns()
        for batch in metrics.new(self.directory, self.record, nodes, columns, over, self._waits):
            if batch.metrics or parameters or unsent:
                self.store.log(run_id, batch.metrics, parameters, unsent)
            self.sent(unsent)
            self.save(replace(batch.after, described=True))
            parameters, unsent = {}, {}
        if parameters or unsent:
            self.store.log(run_id, (), parameters, unsent)
            self.sent(unsent)
            self.save(replace(self.record, described=True))

    def _waits(self) -> bool:
        """Whether the ranks below the one that reports a loss may yet report theirs. Of Primus's own one rank does."""
        if self._plan.task != "command":
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since < _PATIENCE

    def _columns(self) -> Columns:
        """Of the results; a run without any needs no task, whose module takes time to import."""
        return task.columns(self._plan.task) if (self.directory / rundir.RESULTS).is_file() else {}

    def _finish(self, result: dict[str, Any]) -> None:
        """Close the MLflow run, then add the files: an artifact store that fails must not leave it RUNNING for ever."""
        run_id = str(self.record.run_id)
        self.alone(self._plan.config["experiment"]["name"])
        self.store.finish(run_id, result["status"], result["ended"])
        if packages := content.packages_text(self._report):
            self.store.upload_text(run_id, packages, _PACKAGES)
        names = files.artifacts(self.directory)
        large = [name for name in names if (self.directory / name).stat().st_size > files.LARGEST]
        self.upload([name for name in names if name not in large])
        said = [f"{name}: larger than {files.LARGEST >> 20} MiB, it is in the run directory alone" for name in large]
        said += metrics.left_out(self.directory, self.record)
        self.save(replace(self.record, complete=True, errors=tuple(said)))

    def _traceback(self, result: dict[str, Any]) -> str | None:
        cause = result.get("root_cause")
        if result.get("status") in (None, "FINISHED") or not cause:
            return None
        log = str(cause.get("log"))
        path = files.own(self.directory, log)
        return content.last_traceback(tail(path, _LOG_END, first=True, name=log).traceback) if path else None
