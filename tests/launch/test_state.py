"""The state of a run, by what it left and by what its owner is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from primus.launch import handle, state
from primus.launch.slurm.controller import State as Job
from primus.node import process, rundir

from .record.run_directories import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "outputs/default/20261121-093012-4f2a9c"
    make_run(directory)
    return directory


def gone() -> handle.Handle:
    """A launcher that has ended."""
    pid = process.fork(lambda: 0)
    os.waitpid(pid, 0)
    return replace(handle.ours("direct"), pid=pid)


def test_a_run_runs_as_long_as_its_launcher_lives(run: Path) -> None:
    handle.write(run, handle.ours("direct"))
    assert state.read(run).name == "RUNNING"


def test_a_run_whose_launcher_is_gone_without_a_result_is_lost(run: Path) -> None:
    handle.write(run, gone())
    found = state.read(run)
    assert (found.name, found.reason) == ("LOST", "its launcher is gone, and it left no result")


def test_a_run_with_a_result_is_what_that_says_whoever_lives(run: Path) -> None:
    handle.write(run, handle.ours("direct"))
    told = {"status": "FAILED", "exit_code": 1, "started": 5.0, "ended": 8.0, "message": "x", "metrics": {"loss": 2.0}}
    rundir.write_json(run / rundir.RESULT, {**told, "step": 3})
    found = state.read(run)
    assert (found.name, found.exit_code, found.seconds, found.step) == ("FAILED", 1, 3.0, 3)
    assert (found.reason, found.over, found.metrics) == ("x", True, {"loss": 2.0})


def test_of_a_run_on_another_host_only_its_signs_of_life_are_known(run: Path) -> None:
    handle.write(run, replace(handle.ours("direct"), host="gpu07"))
    assert state.read(run).name == "RUNNING"
    for file in [*run.rglob("*")]:
        if file.is_file():
            os.utime(file, (1e9, 1e9))
    found = state.read(run)
    assert found.name == "UNKNOWN"
    assert "it began on gpu07, which only that host can tell of; silent for" in found.reason


SLURM = handle.ours("slurm", "12")


@pytest.mark.parametrize(
    ("job", "name", "reason"),
    [
        (Job("PENDING", "Resources"), "PENDING", "Resources"),
        (Job("REQUEUED"), "PENDING", "REQUEUED"),
        (Job("RUNNING", nodes="c0n1"), "RUNNING", ""),
        (Job("COMPLETING", nodes="c0n1"), "RUNNING", "COMPLETING"),
        (Job("NODE_FAIL", nodes="c0n[1-2]"), "LOST", "Slurm job 12 is NODE_FAIL on c0n[1-2]"),
        (None, "LOST", "Slurm knows nothing of job 12 any more, and it left no result"),
    ],
)
def test_a_job_of_slurm_is_what_slurm_says_until_it_leaves_a_result(
    run: Path, monkeypatch: pytest.MonkeyPatch, job: Job | None, name: str, reason: str
) -> None:
    handle.write(run, SLURM)
    monkeypatch.setattr(state.controller, "states", lambda asked: {"12": job} if job else {})
    found = state.read(run)
    assert (found.name, found.reason) == (name, reason)


@pytest.mark.parametrize(("job", "name"), [(Job("PENDING"), "PENDING"), (Job("CANCELLED"), "KILLED"), (None, "KILLED")])
def test_what_slurm_killed_and_starts_again_is_not_over(
    run: Path, monkeypatch: pytest.MonkeyPatch, job: Job | None, name: str
) -> None:
    handle.write(run, SLURM)
    rundir.write_json(run / rundir.RESULT, {"status": "KILLED", "exit_code": 130})
    monkeypatch.setattr(state.controller, "states", lambda asked: {"12": job} if job and "12" in asked else {})
    assert state.read(run).name == name
    assert not state.ended(run)


def test_a_cluster_that_does_not_answer_leaves_the_state_unknown(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    handle.write(run, SLURM)
    assert state.read(run).name == "UNKNOWN"


def test_a_job_of_another_cluster_is_not_asked_of_this_one_where_its_number_is_anothers(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.controller, "cluster", lambda: "beta")
    monkeypatch.setattr(state.controller, "states", lambda asked: {job: Job("COMPLETED") for job in asked})
    handle.write(run, replace(SLURM, cluster="alpha"))
    found = state.read(run)
    assert (found.name, found.slurm) == ("UNKNOWN", None)
    assert found.reason == "its Slurm cluster alpha alone can tell of it: this one is beta"
    handle.write(run, replace(SLURM, cluster="beta"))
    assert state.read(run).name == "LOST"


def test_many_runs_cost_one_call_and_those_that_are_over_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def states(ids: list[str]) -> dict[str, Job]:
        asked.append(ids)
        return {job: Job("RUNNING") for job in ids}

    monkeypatch.setattr(state.controller, "states", states)
    runs = [tmp_path / f"x/{n}" for n in range(4)]
    for n, run in enumerate(runs):
        make_run(run)
        handle.write(run, handle.ours("slurm", str(n)))
    rundir.write_json(runs[3] / rundir.RESULT, {"status": "FINISHED", "exit_code": 0})
    assert [found.name for found in state.read_all(runs)] == ["RUNNING"] * 3 + ["FINISHED"]
    assert asked == [["0", "1", "2"]]


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (["RUNNING", "FINISHED", "PENDING"], "RUNNING"),
        (["PENDING", "PENDING"], "PENDING"),
        (["PENDING", "FINISHED"], "RUNNING"),
        (["FINISHED", "FINISHED"], "FINISHED"),
        (["FINISHED", "KILLED", "FAILED"], "FAILED"),
        (["FINISHED", "KILLED"], "KILLED"),
        (["FINISHED", "LOST", "FAILED"], "LOST"),
    ],
)
def test_an_array_is_what_its_jobs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], together: str
) -> None:
    rundir.write_json(tmp_path / "sweep.json", {"id": "s", "jobs": [{"index": i} for i in range(len(names))]})
    handle.write(tmp_path, handle.ours("slurm", "7"))
    known = {}
    for i, name in enumerate(names):
        make_run(tmp_path / str(i), sweep=tmp_path.name)
        if name in state.OVER:
            rundir.write_json(tmp_path / str(i) / rundir.RESULT, {"status": name, "exit_code": 0})
        else:
            known[f"7_{i}"] = Job("TIMEOUT" if name == "LOST" else name)
    monkeypatch.setattr(state.controller, "states", lambda asked: known)
    found = state.read(tmp_path)
    assert found.name == together
    assert [job.name for job in found.jobs] == names


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.2, "59 s"), (61, "1 min"), (7500, "2 h 5 min"), (100 * 3600, "4 d 4 h")]
)
def test_a_duration_is_told_in_words(seconds: float, text: str) -> None:
    assert state.duration(seconds) == text
