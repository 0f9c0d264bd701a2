"""The MLflow store: the only module that imports mlflow, and that late, inside functions.

Only MlflowClient is used, never the fluent API with its global run. Every error leaves as Unavailable (try again) or
Refused (trying again cannot help), without credentials in its text.
"""

import contextlib
import fcntl
import gc
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.node.secrets import redact_url

METRICS_PER_CALL = 1000
PARAMETERS_PER_CALL = 100
"""Limits of log-batch: MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH in mlflow/utils/validation.py (3.17)."""

# What MLflow 3's pages call "Model training"; without it a page opens among the evaluations of language models.
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # 3.17 sends usage data to its makers unless told not to
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the recorder has a back-off of its own, and a deadline
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "60",  # seconds
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",  # an offset may be remembered only once its batch is accepted
    "GIT_PYTHON_REFRESH": "quiet",
}
_REFUSALS = (
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "NOT_IMPLEMENTED",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
)
_HOPELESS = (
    ("file is not a database", "move it away, then record anew"),  # sqlite3's own words, as the next
    ("disk image is malformed", "save what can be with `sqlite3 <file> .recover`, or move it away"),
    ("out-of-date database schema", "back it up, then `mlflow db upgrade <uri>`"),  # mlflow/store/db/utils.py, 3.17
    ("Can't locate revision", "a newer MLflow made it: record with that, or in another store"),  # alembic/script
)
"""What a database says that no retry can mend, and what can."""
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


class Unavailable(Exception):
    """The store did not take it now: it is down, slow, locked or answers with a server error."""


class Refused(Exception):
    """The store will never take it: access denied, a deleted run, a wrong address."""


class Missing(Refused):
    """The store does not have what was asked for: another database has taken its place."""


@dataclass(frozen=True)
class Metric:
    """One value; `time` in seconds since the epoch."""

    name: str
    value: float
    time: float
    step: int


@dataclass(frozen=True)
class Ids:
    """An MLflow run."""

    experiment_id: str
    run_id: str
    artifact_uri: str


def tracking_uri(root: Path) -> str:
    """$MLFLOW_TRACKING_URI, else a sqlite file under the output root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.absolute()}/mlflow.db"


class Store:
    """One MLflow. Connects at the first call, so that one that is down costs a caller nothing but an Unavailable."""

    def __init__(self, uri: str, root: Path) -> None:
        self.uri = uri
        self.shown = redact_url(uri)
        self._root = root
        self._connected: Any = None
        self._experiments: dict[str, str] = {}

    def is_new(self) -> bool:
        """Whether it is a sqlite file that nobody has made yet: to look into it would make it."""
        return self.uri.startswith("sqlite:///") and not Path(self.uri.removeprefix("sqlite:///")).exists()

    def create(self, experiment: str, name: str, start: float, tags: Mapping[str, str]) -> Ids:
        """A new run in a named experiment, which is created where there is none."""
        with self._translated():
            run = self._client().create_run(
                self._experiment(experiment), start_time=round(start * 1000), tags=dict(tags), run_name=name
            )
            return Ids(run.info.experiment_id, run.info.run_id, run.info.artifact_uri)

    def find(self, experiment: str, tag: str, value: str) -> list[Ids]:
        """The runs of an experiment with this tag, the newest first; at most 100."""
        with self._translated():
            quoted = value.replace("'", "''")
            runs = self._client().search_runs(
                [self._experiment(experiment)],
                f"tags.`{tag}` = '{quoted}'",
                max_results=100,
            )
            return [Ids(run.info.experiment_id, run.info.run_id, run.info.artifact_uri) for run in runs]

    def delete(self, run_id: str) -> None:
        """Delete a run; MLflow keeps it for `mlflow gc` to remove."""
        with self._translated():
            self._client().delete_run(run_id)

    def log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in as few calls as the limits allow. What is there already, a metric or a parameter, is no error."""
        with self._translated():
            from mlflow.entities import Metric as Point
            from mlflow.entities import Param, RunTag

            points = [Point(m.name, m.value, round(m.time * 1000), m.step) for m in metrics]
            pairs = [Param(key, value) for key, value in (parameters or {}).items()]
            labels = [RunTag(key, value) for key, value in (tags or {}).items()]
            while points or pairs or labels:
                few = pairs[:PARAMETERS_PER_CALL]
                room = METRICS_PER_CALL - len(few) - len(labels)
                self._client().log_batch(run_id, metrics=points[:room], params=few, tags=labels)
                points, pairs, labels = points[room:], pairs[PARAMETERS_PER_CALL:], []

    def upload(self, run_id: str, path: Path, name: str) -> None:
        """Store a file as the artifact `name`, whose last part is the file's own name; replaces one that is there."""
        folder = name.rpartition("/")[0]
        with self._translated():
            self._client().log_artifact(run_id, str(path), folder or None)

    def upload_text(self, run_id: str, text: str, name: str) -> None:
        """Store text as the artifact `name`."""
        with self._translated():
            self._client().log_text(run_id, text, name)

    def reopen(self, run_id: str) -> None:
        """Say that a run goes on. Raises Unavailable and Refused."""
        with self._translated():
            self._client().update_run(run_id, status="RUNNING")

    def finish(self, run_id: str, status: str, ended: float) -> None:
        """Close a run as FINISHED, FAILED or KILLED; `ended` in seconds since the epoch."""
        with self._translated():
            self._client().set_terminated(run_id, status, round(ended * 1000))

    def points(self, run_id: str, name: str) -> Iterator[Metric]:
        """Every value of a metric of a run."""
        with self._translated():
            for point in self._client().get_metric_history(run_id, name):
                yield Metric(name, point.value, point.timestamp / 1000, point.step)

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        with self._translated():
            return dict(self._client().get_run(run_id).data.tags)

    def download(self, run_id: str, into: Path) -> Path:
        """All artifacts of a run, in the folder `into`."""
        with self._translated():
            into.mkdir(parents=True, exist_ok=True)
            self._client().download_artifacts(run_id, "", str(into))
            return into

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            client = self._client()
            found = client.get_experiment_by_name(name) or self._create_experiment(name)
            if found.lifecycle_stage == "deleted":
                raise Refused(
                    f"experiment '{name}' is deleted in {self.shown}: choose another experiment.name, or bring it back"
                    f" with `mlflow experiments restore --experiment-id {found.experiment_id}`"
                )
            self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _create_experiment(self, name: str) -> Any:
        """Create it. A database has no artifact server, so its artifacts lie beside the runs; a server knows where."""
        from mlflow.exceptions import MlflowException

        place = str(self._root.absolute() / "mlartifacts" / name) if self._is_database() else None
        try:
            self._client().create_experiment(name, artifact_location=place, tags=_TRAINING)
        except MlflowException as error:  # another recorder was first
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._client().get_experiment_by_name(name)

    def _client(self) -> Any:
        if self._connected is None:
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            gc.disable()  # 2000 modules: collecting between them takes a sixth of the 1.5 s
            try:
                from mlflow import MlflowClient

                logging.getLogger("alembic").setLevel(logging.ERROR)
                with self._making():
                    if self.is_new() and "?" not in self.uri:  # with options of SQLAlchemy's it is no plain path
                        self._make(MlflowClient)
                    self._connected = MlflowClient(self.uri)
            finally:
                gc.freeze()
                gc.enable()
        return self._connected

    def _is_database(self) -> bool:
        return self.uri.split(":", 1)[0].split("+", 1)[0] in _DATABASES

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        """Alone while a database may get its tables: MLflow 3.17 breaks when two processes make them at once."""
        if not self._is_database():
            yield
            return
        sqlite = self.uri.startswith("sqlite:///") and "?" not in self.uri
        folder = Path(self.uri.removeprefix("sqlite:///")).parent if sqlite else self._root
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".mlflow.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make(self, client: Any) -> None:
        """Make the sqlite file, whole or not at all: half of the tables, as a recorder that is killed leaves them,
        MLflow 3.17 does not take up again (its migrations find some of them there)."""
        path = Path(self.uri.removeprefix("sqlite:///"))
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)  # of one that was killed: whoever holds the lock is alone
        part.with_name(f"{part.name}-journal").unlink(missing_ok=True)
        client(f"sqlite:///{part}")
        os.replace(part, path)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (Unavailable, Refused):
            raise
        except Exception as error:
            raise _translation(error, self.shown) from None


def _translation(error: Exception, shown: str) -> Exception:
    text, code = redact_url(f"{shown}: {_plain(error)}"), getattr(error, "error_code", "")
    for words, advice in _HOPELESS:
        if words in text:
            return Refused(f"{text}; {advice}")
    if code == "RESOURCE_DOES_NOT_EXIST":
        return Missing(text)
    if code in _REFUSALS or isinstance(error, ImportError):
        return Refused(text)
    return Unavailable(text)


def _plain(error: Exception) -> str:
    """What an error says, on one short line: without the wrapping of urllib3, HTML and addresses of objects."""
    text = f"{type(error).__name__}: {error}"
    if wrapped := re.search(r"\(Caused by (.*)\)$", text, re.DOTALL):
        text = wrapped[1]
    return " ".join(re.sub(r"<[^<>]*>:?", " ", text).split())[:700]
