"""MLflow for the tests of the recorder: a sqlite store, and one real server for the session."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from primus.launch.record.store import Store, tracking_uri

from ...conftest import PATIENCE, port

REPOSITORY = Path(__file__).resolve().parents[3]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # MLflow 3.17 with SQLAlchemy 2.1, where it looks for runs; can go with an MLflow that is made for SQLAlchemy 2.1.
    theirs = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
    for item in items:
        if item.get_closest_marker("mlflow"):
            item.add_marker(theirs)


@pytest.fixture(autouse=True)
def no_mlflow_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path: Path, new_database: Path) -> Path:
    """An output root with MLflow's database in it."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(new_database, tmp_path / "outputs" / "mlflow.db")
    return tmp_path / "outputs"


@pytest.fixture
def store(root: Path) -> Store:
    return Store(tracking_uri(root), root)


class Mlflow:
    """What an MLflow store holds, asked of MLflow itself."""

    def __init__(self, uri: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(uri)

    def run(self, run_id: str) -> Any:
        return self._client.get_run(run_id)

    def runs(self, experiment: str) -> list[Any]:
        found = self._client.get_experiment_by_name(experiment)
        return list(self._client.search_runs([found.experiment_id])) if found else []

    def history(self, run: Any, name: str) -> list[tuple[int, int, float]]:
        """(step, milliseconds, value) of a metric, in order."""
        points = self._client.get_metric_history(run.info.run_id, name)
        return sorted((m.step, m.timestamp, m.value) for m in points)

    def delete_experiment(self, name: str) -> None:
        self._client.delete_experiment(self._client.create_experiment(name))

    def artifact(self, run: Any, name: str, into: Path) -> bytes:
        return Path(self._client.download_artifacts(run.info.run_id, name, str(into))).read_bytes()


@pytest.fixture
def mlflow(store: Store) -> Mlflow:
    return Mlflow(store.uri)


Recorder = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Starts recorder processes: `recorder(directory, "--once", uri=...)`; ends those that a failed test left."""
    started = []

    def start(
        directory: Path, *options: str, uri: str | None = None, lifeline: int | None = None
    ) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)} | ({"MLFLOW_TRACKING_URI": uri} if uri else {})
        options = options if "--wait" in options else (*options, "--wait", str(2 * PATIENCE))  # it stands back
        line = () if lifeline is None else ("--lifeline", str(lifeline))
        process = subprocess.Popen(
            [sys.executable, "-m", "primus.launch.record", "--directory", str(directory), *line, *options],
            env=environment,
            pass_fds=() if lifeline is None else (lifeline,),
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()
            print(said(process))  # pytest shows it where the test has failed


def said(process: subprocess.Popen[str]) -> str:
    """What a recorder that has ended wrote on its standard error."""
    assert process.stderr
    return process.stderr.read()


def wait_until(what: Callable[[], object], seconds: float = 2 * PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


class Server:
    """`mlflow server` on a free port of this host; its database outlives a `stop`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        options += ["--backend-store-uri", f"sqlite:///{self._directory}/mlflow.db"]
        options += ["--artifacts-destination", str(self._directory / "artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options],
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,  # it has a child that does not end with it
            )
        wait_until(self._healthy)

    def stop(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    shutil.copy(new_database, directory / "mlflow.db")
    running = Server(directory)
    running.start()
    yield running
    running.stop()
