"""What may happen to MLflow and the recorder: no job is harmed, and in the end no point is missing or there twice."""

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record import files
from primus.launch.record.__main__ import main
from primus.launch.record.run import RunRecord
from primus.launch.record.store import Store, tracking_uri
from primus.launch.running import Recorder
from primus.node import rundir

from ..conftest import PATIENCE, Primus, Rank, Start, command_lines
from ..launch.record.conftest import Server, wait_until
from ..launch.record.run_directories import START, append, end_nodes, make_run, write_metrics
from . import points
from .proxy import Proxy, before

pytestmark = [
    pytest.mark.mlflow,
    # MLflow 3.17 with SQLAlchemy 2.1, where it looks for runs; can go with an MLflow that is made for SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

LINES = 300
names = (f"run-{n}" for n in count())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Iterator[tuple[Server, Path]]:
    """A real server, and its database."""
    directory = tmp_path_factory.mktemp("server")
    database = Path(shutil.copy(new_database, directory / "mlflow.db"))
    server = Server(directory)
    server.start()
    yield server, database
    server.stop()


@pytest.fixture
def proxy(served: tuple[Server, Path]) -> Iterator[Proxy]:
    with before(served[0].port) as found:
        yield found


@pytest.fixture
def root(work: Path, new_database: Path) -> Path:
    """The output root of the commands of a test, with MLflow's database in it."""
    (work / "outputs").mkdir()
    shutil.copy(new_database, work / "outputs" / "mlflow.db")
    return work / "outputs"


def finished(root: Path) -> Path:
    """A run of two ranks that is over, and of which nothing is recorded."""
    directory = root / "faults" / next(names)
    make_run(directory)
    for rank in range(2):
        write_metrics(directory, range(LINES), rank=rank)
    append(directory / rundir.rank_metrics(1), f'{{"time": {START}, "step": 3, "loss": NaN}}\n')
    return ended(directory)


def ended(directory: Path) -> Path:
    end_nodes(directory)
    write_result(directory, START, interrupted=False)
    return directory


def recorded(directory: Path) -> bool:
    return bool(files.read_json(directory / rundir.RECORD).get("complete"))


def assert_recorded_once(directory: Path, database: Path) -> None:
    """The record is complete: one run, each point of the files once, and nothing else."""
    told = files.read_json(directory / rundir.RECORD)
    assert (told["complete"], told["errors"]) == (True, [])
    assert points.runs(database, directory.name) == [told["run_id"]]
    written = points.of_files(directory)
    assert points.of_database(database, told["run_id"]) == written
    assert set(written.values()) == {1}


@pytest.mark.parametrize("mood", ["500", "hang", "half"])
def test_a_server_that_serves_nobody_is_waited_for_as_long_as_was_asked_and_synced_later(
    mood: str, root: Path, proxy: Proxy, served: tuple[Server, Path], primus: Primus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
    directory = finished(root)
    proxy.mood = lambda *_: mood
    assert main([f"--directory={directory}", "--wait=0.7"]) == 1
    assert not recorded(directory)
    assert files.read_json(directory / rundir.RECORD)["errors"]
    proxy.mood = lambda *_: "slow"
    said = primus("task=record/sync", f"run={directory.name}")
    assert said.code == 0, said.out + said.err
    assert "601 lines of metrics and" in said.out
    assert said.out.rstrip().endswith("1,201 points compared with MLflow's, all there")
    assert_recorded_once(directory, served[1])
    again = primus("task=record/sync", f"run={directory.name}")
    assert (again.code, "complete, nothing to add; 1,201 points" in again.out) == (0, True)
    assert_recorded_once(directory, served[1])


def test_requests_that_fail_in_every_way_by_turns_leave_each_point_once(
    root: Path, proxy: Proxy, served: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
    turns = count()
    moods = ("unanswered", "pass", "pass", "drop", "pass", "half", "pass", "pass", "500", "pass")
    proxy.mood = lambda *_: moods[next(turns) % len(moods)]
    directory = finished(root)
    assert main([f"--directory={directory}", "--wait=240"]) == 0
    assert {"unanswered", "drop", "half", "500"} <= {line.split()[0] for line in proxy.seen}
    assert_recorded_once(directory, served[1])


def test_a_batch_that_the_server_says_it_took_and_did_not_is_found_and_added(
    root: Path, proxy: Proxy, served: tuple[Server, Path], primus: Primus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
    proxy.mood = lambda _, path: "empty" if path.endswith("log-batch") else "pass"
    directory = finished(root)
    assert main([f"--directory={directory}", "--wait=240"]) == 0
    proxy.mood = lambda *_: "pass"
    assert "1,201 points compared with MLflow's, 1,201 of them missing until now" in primus(
        "task=record/sync", f"run={directory}"
    ).out.replace("\n", " ")
    assert_recorded_once(directory, served[1])


@pytest.mark.parametrize("mood", ["unanswered", "late"])
def test_a_run_whose_creation_was_not_answered_is_there_once(
    mood: str, root: Path, proxy: Proxy, served: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
    calls = count()

    def first_creation(_: str, path: str) -> str:
        if path.endswith("runs/create") and next(calls) == 0:
            return mood
        if path.endswith("runs/log-batch"):
            proxy.released.set()  # now the server hears of the first call, beside the run of the second
            wait_until(lambda: mood != "late" or len(points.runs(served[1], directory.name)) == 2 or next(calls) > 2)
        return "pass"

    proxy.mood = first_creation
    directory = finished(root)
    assert main([f"--directory={directory}", "--wait=240"]) == 0
    assert_recorded_once(directory, served[1])


def test_a_server_that_dies_in_mid_run_costs_the_job_nothing_and_the_command_says_what_completes_the_record(
    start: Start, primus: Primus, rank: Rank, work: Path, proxy: Proxy, served: tuple[Server, Path]
) -> None:
    text = f"""
import json, os, time
with open(os.environ["PRIMUS_METRICS"], "a") as file:
    for step in range({LINES}):
        file.write(json.dumps({{"time": time.time(), "step": step, "loss": 1 / (step + 1)}}) + chr(10))
        file.flush()
        while step == 100 and not os.path.exists("go"):
            time.sleep(0.01)
"""
    at = f"tracking.uri={proxy.uri}"
    job = start(*rank(text), at, "tracking.wait=0.5", "ranks_per_node=2")
    wait_until(lambda: any("log-batch" in line for line in proxy.seen))
    proxy.mood = lambda *_: "hang"
    (work / "go").touch()
    assert job.stderr
    command = next(line.strip() for line in job.stderr if "task=record/sync" in line)
    assert job.wait() == 0
    (directory,) = (work / "outputs/default").iterdir()
    assert not recorded(directory)
    assert command == f"primus task=record/sync run=outputs/default/{directory.name} {at}"
    proxy.released.set()
    wait_until(lambda: not recorders(directory))
    proxy.mood = lambda *_: "pass"
    said = primus(*shlex.split(command)[1:])
    assert said.code == 0, said.out + said.err
    assert_recorded_once(directory, served[1])


WRITER = """
import os, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
while not os.path.exists(sys.argv[2]):
    database.execute("BEGIN IMMEDIATE")
    time.sleep(0.05)
    database.execute("COMMIT")
"""


def test_a_database_that_twenty_writers_lock_holds_each_point_once_in_the_end(
    root: Path, tmp_path: Path, primus: Primus
) -> None:
    stop = tmp_path / "stop"
    argv = [sys.executable, "-I", "-S", "-c", WRITER, str(root / "mlflow.db"), str(stop)]
    writers = [subprocess.Popen(argv) for _ in range(20)]
    directory = finished(root)
    main([f"--directory={directory}", "--wait=1"])
    while_locked = recorded(directory)
    stop.touch()
    assert [writer.wait() for writer in writers] == [0] * 20
    assert while_locked or primus("task=record/sync", f"run={directory}").code == 0
    assert_recorded_once(directory, root / "mlflow.db")


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    at.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(at)])
    if mounted.returncode and not os.environ.get("CI"):
        pytest.skip("no file system can be mounted here")
    assert mounted.returncode == 0
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    with (disk / "fill").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return disk / "fill"


def test_a_full_disk_under_database_and_run_costs_the_record_no_more_than_its_time(
    work: Path, new_database: Path, primus: Primus
) -> None:
    with small_disk(work / "outputs", megabytes=24) as root:  # a report has 5
        shutil.copy(new_database, root / "mlflow.db")
        directory = finished(root)
        filling = fill(root)
        assert main([f"--directory={directory}", "--wait=0.5"]) == 1
        assert not recorded(directory)
        filling.unlink()
        said = primus("task=record/sync", f"run={directory}")
        assert said.code == 0, said.out + said.err
        assert_recorded_once(directory, root / "mlflow.db")


def no_database(file: Path) -> None:
    file.write_bytes(b"this was mlflow.db" * 1000)


def of_an_older_mlflow(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")


def of_a_newer_mlflow(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("drop table webhooks")  # as if its tables were others
        database.execute("update alembic_version set version_num = 'ffffffffffff'")


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (no_database, "move it away, then record anew"),
        (of_an_older_mlflow, "back it up, then `mlflow db upgrade <uri>`"),
        (of_a_newer_mlflow, "a newer MLflow made it"),
    ],
)
def test_a_database_that_no_retry_can_mend_is_not_waited_for_and_what_mends_it_is_said(
    spoil: object, advice: str, root: Path, new_database: Path, primus: Primus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    spoil(root / "mlflow.db")
    directory = finished(root)
    assert main([f"--directory={directory}", "--wait=600"]) == 1
    assert advice in capsys.readouterr().err
    assert (directory / rundir.REPORT).is_file()  # which needs no MLflow
    assert primus("task=record/sync", f"run={directory}").code == 3
    (root / "mlflow.db").write_bytes(new_database.read_bytes())
    assert primus("task=record/sync", f"run={directory}").code == 0
    assert_recorded_once(directory, root / "mlflow.db")


def test_a_recorder_that_is_killed_has_a_successor_and_when_that_is_killed_too_sync_goes_on(
    root: Path, primus: Primus
) -> None:
    directory = root / "faults" / next(names)
    make_run(directory)
    write_metrics(directory, range(LINES))
    recorder = Recorder(directory, None, wait=60)
    wait_until(lambda: files.read_json(directory / rundir.RECORD).get("offsets"))
    kill(recorders(directory))
    ended(directory)
    killed_too: list[int] = []

    def at_each_look() -> bool:
        killed_too.extend(found := recorders(directory) if not killed_too else [])
        kill(found)
        return False

    assert not recorder.finish(at_each_look)
    assert len(killed_too) == 1
    assert not recorded(directory)
    write_metrics(directory, range(LINES, 2 * LINES))
    assert primus("task=record/sync", f"run={directory}").code == 0
    assert_recorded_once(directory, root / "mlflow.db")


def recorders(directory: Path) -> list[int]:
    """Living processes that record a directory."""
    wanted = {b"primus.launch.record", os.fsencode(directory)}
    return [pid for pid, words in command_lines().items() if wanted <= set(words)]


def kill(processes: list[int]) -> None:
    for pid in processes:
        os.kill(pid, signal.SIGKILL)


def test_a_metrics_file_that_is_emptied_and_written_anew_loses_nothing(root: Path) -> None:
    directory = root / "faults" / next(names)
    make_run(directory)
    recording = RunRecord(directory, Store(tracking_uri(root), root))
    write_metrics(directory, range(LINES))
    recording.advance()
    earlier = points.of_files(directory)
    (directory / rundir.rank_metrics(0)).write_text("")
    write_metrics(directory, range(100), memory_peak=5.0)
    recording.advance()
    write_metrics(directory, range(LINES, 2 * LINES))
    ended(directory)
    assert recording.advance()
    recording.close()
    told = files.read_json(directory / rundir.RECORD)
    found = points.of_database(root / "mlflow.db", told["run_id"])
    assert set(found) == {*earlier, *points.of_files(directory)}
    assert set(found.values()) == {1}


def test_a_run_directory_that_is_removed_ends_its_recorder_with_its_launcher(root: Path) -> None:
    directory = root / "faults" / next(names)
    make_run(directory)
    recorder = Recorder(directory, None, wait=0.1)
    wait_until(lambda: files.read_json(directory / rundir.RECORD).get("run_id"))
    shutil.rmtree(directory)
    assert not recorder.finish(lambda: False)
    assert recorder._process.wait(PATIENCE) == 1
