"""MLflow as a server: one that works, goes, comes back, is slow, or refuses."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.files import read_json
from primus.launch.record.store import Refused, Store
from primus.node import rundir

from ...conftest import PATIENCE
from .conftest import Mlflow, Recorder, Server, said, wait_until
from .run_directories import START, append, end_nodes, make_run, write_metrics

pytestmark = pytest.mark.mlflow


def finish(directory: Path) -> None:
    end_nodes(directory)
    write_result(directory, START, interrupted=False)


def test_a_run_is_recorded_on_a_server_artifacts_included(tmp_path: Path, server: Server, recorder: Recorder) -> None:
    directory = tmp_path / "outputs" / "over-http" / "run"
    make_run(directory)
    write_metrics(directory, range(1200))
    append(directory / rundir.rank_metrics(0), '{"time": 9, "step": 2000, "loss": NaN}\n')
    finish(directory)
    assert recorder(directory, uri=server.uri).wait() == 0

    mlflow = Mlflow(server.uri)
    (run,) = mlflow.runs("over-http")
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert [step for step, _, _ in mlflow.history(run, "loss")] == [*range(1200), 2000]
    assert mlflow.artifact(run, "plan.json", tmp_path) == (directory / "plan.json").read_bytes()
    assert mlflow.artifact(run, "logs/node-0/rank-0.log", tmp_path) == b"step 1 loss 4.0\n"
    assert not (tmp_path / "outputs" / "mlflow.db").exists()


def test_credentials_of_the_server_stay_out_of_the_record(tmp_path: Path, server: Server, recorder: Recorder) -> None:
    directory = tmp_path / "outputs" / "credentials" / "run"
    make_run(directory)
    finish(directory)
    uri = server.uri.replace("://", "://paul:correct-horse@")
    assert recorder(directory, uri=uri).wait() == 0
    assert read_json(directory / rundir.RECORD)["tracking_uri"] == server.uri.replace("://", "://***@")
    refused = recorder(directory, "--wait", "1", uri=uri.replace(str(server.port), "1"))
    assert refused.wait() == 1
    assert "correct-horse" not in said(refused)
    every = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    assert b"correct-horse" not in every


@pytest.mark.slow
def test_a_server_that_goes_and_returns_has_each_metric_once_in_the_end(
    tmp_path: Path, server: Server, recorder: Recorder
) -> None:
    directory = tmp_path / "outputs" / "flaky" / "run"
    make_run(directory)
    write_metrics(directory, range(10))
    process = recorder(directory, "--wait", "0.5", uri=server.uri)
    wait_until(lambda: len(mlflow_metrics(server)) == 10)
    server.stop()
    write_metrics(directory, range(10, 30))
    wait_until(lambda: read_json(directory / rundir.RECORD)["errors"])
    finish(directory)
    assert process.wait() == 1
    assert f"{directory}: {server.uri}" in said(process)
    assert not read_json(directory / rundir.RECORD)["complete"]

    late = recorder(directory, "--once", uri=server.uri)  # it is still down
    server.start()
    assert late.wait() == 0
    assert [step for step, _, _ in mlflow_metrics(server)] == list(range(30))
    assert read_json(directory / rundir.RECORD)["errors"] == []


def mlflow_metrics(server: Server) -> list[tuple[int, int, float]]:
    mlflow = Mlflow(server.uri)
    return [point for run in mlflow.runs("flaky") for point in mlflow.history(run, "loss")]


class Unwell(BaseHTTPRequestHandler):
    """Answers every request with 500, or not at all."""

    hangs = threading.Event()

    def do_GET(self) -> None:
        if self.server.hangs:  # type: ignore[attr-defined]  # set by the fixture
            Unwell.hangs.wait()
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *message: object) -> None:
        pass


@pytest.fixture(params=["answers 500", "does not answer"])
def unwell(request: pytest.FixtureRequest) -> Iterator[str]:
    Unwell.hangs.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as web:
        web.hangs = request.param == "does not answer"  # type: ignore[attr-defined]  # for the handler
        threading.Thread(target=web.serve_forever).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        Unwell.hangs.set()
        web.shutdown()


def test_a_server_that_is_unwell_costs_no_more_than_the_wait(tmp_path: Path, unwell: str, recorder: Recorder) -> None:
    directory = tmp_path / "outputs" / "exp" / "run"
    make_run(directory)
    finish(directory)
    process = recorder(directory, "--wait", "3", uri=unwell)
    assert process.wait(timeout=PATIENCE) == 1
    record = read_json(directory / rundir.RECORD)
    assert not record["complete"]
    assert record["errors"]


def test_what_no_retry_can_mend_is_given_up_at_once(
    root: Path, store: Store, recorder: Recorder, mlflow: Mlflow
) -> None:
    mlflow.delete_experiment("exp")
    with pytest.raises(Refused, match="mlflow experiments restore --experiment-id"):
        store.create("exp", "run", START, {})
    directory = root / "exp" / "run"
    make_run(directory)
    finish(directory)
    process = recorder(directory, "--wait", "600")
    assert process.wait(timeout=300) == 1
    assert "is deleted" in read_json(directory / rundir.RECORD)["errors"][0]
