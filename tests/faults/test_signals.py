"""SIGTERM and SIGINT at every phase of a job, once and twice. Each phase is known by something that can be seen."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..cluster.slurm import Slurm
from ..conftest import PATIENCE, PATIENT, Rank
from .conftest import OFF, Marked, RunDirectory, read, recorded, soon

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
EACH = pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,) * 2], ids=["SIGINT", "SIGTERM twice"])

PAUSES = """
import os, sys, time
class Pause:  # where a module is imported: whatever a command does, it imports first
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("PAUSE_AT"):
            sys.meta_path.remove(self)
            open("reached", "w").close()
            while not os.path.exists("go on"):
                time.sleep(0.01)
sys.meta_path.insert(0, Pause())
"""

WAITS = """
import os, time
with open("pid.part", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid.part", "pid")
time.sleep(600)
"""

SAVES = """
import json, os, signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
metrics = open(os.environ["PRIMUS_METRICS"], "a")
def step(n):
    metrics.write(json.dumps({"time": time.time(), "step": n, "loss": 1 / n}) + "\\n")
    metrics.flush()
step(1)
with open("checkpoint.part", "w") as file:
    for piece in range(3):
        file.write(f"piece {piece}\\n")
        file.flush()
        if piece == 1:
            open("saving", "w").close()
            while not asked or (os.path.exists("hold") and not os.path.exists("go on")):
                time.sleep(0.01)
os.rename("checkpoint.part", "checkpoint")
step(2)
sys.exit(1)
"""


@pytest.fixture
def paused(marked: Marked, tmp_path: Path) -> Callable[..., Any]:
    """Starts a command that pauses where it imports a module."""
    (tmp_path / "pause").mkdir()
    (tmp_path / "pause/sitecustomize.py").write_text(PAUSES)
    path = os.pathsep.join([str(tmp_path / "pause"), str(Path(__file__).parents[2])])

    def start(module: str, *words: str, **environ: str) -> Any:
        process = marked(*words, PYTHONPATH=path, PAUSE_AT=module, **environ)
        soon(Path("reached").exists)
        return process

    return start


@BOTH
@pytest.mark.parametrize("phase", ["hydra", "primus.launch.task.command", "primus.launch.run"])
def test_before_anything_is_written_the_command_just_ends(
    paused: Callable[..., Any], rank: Rank, work: Path, number: signal.Signals, phase: str
) -> None:
    """While it starts, composes, or plans."""
    process = paused(phase, *rank("print('never')"), OFF)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert (out, err) == ("", "")
    assert not (work / "outputs").exists()


@EACH
def test_while_the_agent_starts_it_ends_in_good_order(
    marked: Marked, rank: Rank, run_directory: RunDirectory, numbers: tuple[signal.Signals, ...]
) -> None:
    """Python itself would die of a signal as long as no handler is there, with a traceback."""
    process = marked(*rank("import time; time.sleep(600)"), OFF)
    soon(lambda: "started the node agent" in _text(run_directory() / "logs/launch.log"))
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    result = read(run_directory() / "result.json")
    assert (result["status"], result["message"]) == ("KILLED", "interrupted")
    assert marked.none_is_left()


@EACH
def test_while_the_launcher_is_busy_itself_the_agent_is_told_all_the_same(
    paused: Callable[..., Any],
    marked: Marked,
    rank: Rank,
    run_directory: RunDirectory,
    numbers: tuple[signal.Signals, ...],
) -> None:
    process = paused("primus.launch.progress", *rank(WAITS), OFF)
    soon(Path("pid").exists)
    for number in numbers:
        process.send_signal(number)
    Path("go on").touch()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert read(run_directory() / "result.json")["status"] == "KILLED"
    assert marked.none_is_left()


@pytest.mark.mlflow
@pytest.mark.slow
def test_while_a_checkpoint_is_written_it_is_finished_and_every_metric_is_recorded(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    process = marked(*rank(SAVES), PATIENT)
    soon(Path("saving").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert Path("checkpoint").read_text() == "piece 0\npiece 1\npiece 2\n"
    assert read(run_directory() / "result.json")["status"] == "KILLED"
    assert recorded(run_directory(), "loss") == [(1, 1.0), (2, 0.5)]
    assert marked.none_is_left()


def test_asked_twice_while_a_checkpoint_is_written_it_ends_at_once(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    Path("hold").touch()
    process = marked(*rank(SAVES), OFF, "node.grace_period=600")
    soon(Path("saving").exists)
    process.send_signal(signal.SIGTERM)
    soon(lambda: "ended by SIGTERM" in _text(run_directory() / "logs/node-0/agent.log"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert Path("checkpoint.part").exists()
    assert not Path("checkpoint").exists()
    assert marked.none_is_left()


@pytest.mark.mlflow
@pytest.mark.slow
def test_while_the_record_is_completed_the_job_keeps_its_end_and_the_command_returns(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    """MLflow takes the connection, and never answers."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = marked(*rank("print('done')"), f"tracking.uri={uri}", "tracking.wait=4")
        soon(lambda: (run_directory() / "result.json").exists())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "(finished)" in out
        assert "the MLflow record is not complete yet" in err
        assert read(run_directory() / "result.json")["status"] == "FINISHED"
        assert marked.none_is_left(), "the recorder gives up after tracking.wait"


@pytest.mark.slurm
def test_while_a_job_is_being_submitted_it_is_cancelled(
    slurm: Slurm, marked: Marked, rank: Rank, run_directory: RunDirectory, tmp_path: Path
) -> None:
    """Between sbatch's start and its answer there is a job, and nobody knows its number."""
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin/sbatch"
    sbatch.write_text(
        f"#!/bin/sh\n: > {tmp_path}/reached\n"
        f'while [ ! -e {tmp_path}/go-on ]; do sleep 0.01; done\nPATH="{os.environ["PATH"]}" exec sbatch "$@"\n'
    )
    sbatch.chmod(0o755)
    path = f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}"
    process = marked(
        "runtime=slurm", *rank("print('never')"), OFF, "runtime.detach=true", "runtime.options={hold: true}", PATH=path
    )
    soon((tmp_path / "reached").exists)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go-on").touch()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    job = read(run_directory() / "handle.json")["job_id"]
    assert slurm.job(job)["JobState"] == "CANCELLED"
    assert read(run_directory() / "result.json")["status"] == "KILLED"


@pytest.mark.slurm
def test_while_a_job_waits_in_the_queue_it_is_cancelled(
    slurm: Slurm, marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    process = marked("runtime=slurm", *rank("print('never')"), OFF, "runtime.options={hold: true}")
    for line in process.stdout:
        if "waits in the queue" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert slurm.job(read(run_directory() / "handle.json")["job_id"])["JobState"] == "CANCELLED"
    assert read(run_directory() / "result.json")["status"] == "KILLED"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
