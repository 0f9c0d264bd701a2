"""What recording a run and recording a sweep have in common: one lock, one record.json, one MLflow run."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from primus.launch import handle
from primus.launch.record import content, state
from primus.launch.record.store import Ids, Store
from primus.node import rundir


class Recording(ABC):
    """The record of one directory; holds its lock until `close`. Raises state.Busy, and ValueError for a bad file."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.directory = directory
        self.store = store
        self._lock = state.lock(directory)
        try:
            self.record = state.load(directory, store.shown)
        except ValueError:
            self._lock.close()
            raise
        self._sent: dict[str, str] = {}  # tags; after a restart they are all sent once more
        self.told: Callable[[Path, state.Record], None] | None = None

    def close(self) -> None:
        """Let another process record the directory."""
        self._lock.close()

    @abstractmethod
    def ended(self) -> bool:
        """Whether what is recorded is over."""

    @abstractmethod
    def advance(self) -> bool:
        """Record what is new; True once the record is complete. Raises store.Unavailable and store.Refused."""

    def fail(self, message: str) -> None:
        """Say in record.json what went wrong, where that can be written."""
        with contextlib.suppress(OSError):
            self.save(self.record.failed(message))

    def save(self, record: state.Record) -> None:
        """Keep how far the record has come."""
        if record != self.record:
            state.save(self.directory, record)
            self.record = record
            if self.told:
                self.told(self.directory, record)

    def create(self, experiment: str, name: str, started: float, tags: Mapping[str, str]) -> None:
        """Create the MLflow run, unless it is there: a recorder can be killed before it has noted the run's id, and
        a server can create one without its answer coming back."""
        if self.record.run_id:
            return
        found = None
        if self.record.attempted:
            found = next(iter(self._ours(experiment)), None)
            self.save(replace(self.record, doubtful=True))
        else:
            self.save(replace(self.record, attempted=True, token=uuid4().hex))
        if found is None:
            found = self.store.create(experiment, name, started, {**tags, content.TOKEN: self.record.token})
            self._sent = dict(tags)
        self.save(
            replace(
                self.record, experiment_id=found.experiment_id, run_id=found.run_id, artifact_uri=found.artifact_uri
            )
        )

    def alone(self, experiment: str) -> None:
        """Delete what a server has made of a call to create this run that it answered too late, or not."""
        if not self.record.doubtful:
            return
        for twin in self._ours(experiment) if self.record.token else ():  # without it they may be of an earlier try
            if twin.run_id != self.record.run_id:
                self.store.delete(twin.run_id)
        self.save(replace(self.record, doubtful=False))

    def _ours(self, experiment: str) -> list[Ids]:
        """The runs that were created for this record; a record that an earlier Primus began has no token."""
        if self.record.token:
            return self.store.find(experiment, content.TOKEN, self.record.token)
        return self.store.find(experiment, content.RUN_DIRECTORY, str(self.directory))

    def new(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Those of the tags that the MLflow run does not have yet."""
        return {name: value for name, value in tags.items() if self._sent.get(name) != value}

    def sent(self, tags: Mapping[str, str]) -> None:
        """These tags have been accepted."""
        self._sent.update(tags)

    def links(self) -> list[str]:
        """Links of MLflow's own pages for the run's note: to the report, where there is one."""
        run_id, experiment = self.record.run_id, self.record.experiment_id
        if not run_id or not experiment or not (self.directory / rundir.REPORT).is_file():
            return []
        return [f"[Report]({content.artifact_page(experiment, run_id, rundir.REPORT)})"]

    def upload(self, names: list[str]) -> None:
        """Upload those of the files that the MLflow run does not have yet."""
        done = [*self.record.artifacts]
        try:
            for name in names:
                if name not in done:
                    self.store.upload(str(self.record.run_id), self.directory / name, name)
                    done.append(name)
        finally:
            self.save(replace(self.record, artifacts=tuple(done)))


def common_tags(directory: Path) -> dict[str, str]:
    """Tags that every MLflow run of Primus has."""
    return {
        "mlflow.source.name": "primus",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": handle.user_name(),
        content.RUN_DIRECTORY: str(directory),
    }
