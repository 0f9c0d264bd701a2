"""A run is ended from another shell."""

import json
from pathlib import Path

import pytest

from primus.launch import handle
from primus.launch.slurm import controller
from primus.launch.slurm.controller import Answer, State

from ...cluster.docker import Docker
from ...conftest import Primus, Rank, Start, gone
from ..record.run_directories import make_run
from .waiting import begin, until

OFF = "tracking.enabled=false"


def status(run: Path) -> tuple[str, int]:
    told = json.loads((run / "result.json").read_text())
    return told["status"], told["exit_code"]


def test_every_process_ends_and_the_result_says_killed_and_a_second_time_is_no_error(
    start: Start, rank: Rank, work: Path, primus: Primus
) -> None:
    launcher, run, pids = begin(start, rank, work)
    said = primus("task=cancel", f"run={run.name}")
    assert (said.code, said.out, said.err) == (0, f"run     {run}  (killed)\n", "")
    assert all(gone(pid) for pid in pids)
    assert launcher.wait() == 130
    assert status(run) == ("KILLED", 130)
    said = primus("task=cancel", f"run={run.name}")
    assert (said.code, said.out) == (0, f"run     {run}  (killed before)\n")


def test_after_the_launcher_is_gone_too(start: Start, rank: Rank, work: Path, primus: Primus) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    (work / "rank.py").touch()
    launcher, run, pids = begin(start, lambda text: rank(stubborn + text), work, "node.grace_period=0.5")
    launcher.kill()
    launcher.wait()
    said = primus("task=cancel", f"run={run.name}")
    assert said.code == 0
    assert all(gone(pid) for pid in pids)
    assert status(run) == ("KILLED", 130)


def test_a_run_that_is_over_is_not_cancelled(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank(""), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=cancel", f"run={run.name}")
    assert said.code == 2
    assert said.err == f"primus: {run.name} is over already, nothing is cancelled: it finished\n"
    assert status(run) == ("FINISHED", 0)


def test_a_job_of_a_sweep_is_cancelled_alone_and_the_sweep_goes_on(
    start: Start, rank: Rank, work: Path, primus: Primus
) -> None:
    text = "import os, time\nopen(os.environ['NAME'], 'w')\nwhile not os.path.exists('go'): time.sleep(0.02)"
    launcher = start("-m", *rank(text), OFF, "env.set.NAME=a,b", "hydra.launcher.parallel=2")
    until(lambda: (work / "a").exists() and (work / "b").exists())
    (sweep,) = (work / "outputs/default").iterdir()
    assert primus("task=cancel", f"run={sweep.name}/0").code == 0
    assert status(sweep / "0") == ("KILLED", 130)
    assert "2 jobs: 1 killed, 1 running" in primus("task=status", f"run={sweep.name}").out
    (work / "go").touch()
    launcher.communicate()
    assert status(sweep / "1") == ("FINISHED", 0)


def test_a_sweep_is_cancelled_whole(start: Start, rank: Rank, work: Path, primus: Primus) -> None:
    text = "import os, time\nopen('begun', 'w')\ntime.sleep(600)"
    launcher = start("-m", *rank(text), OFF, "env.set.NAME=a,b", "hydra.launcher.parallel=1")
    until((work / "begun").exists)
    (sweep,) = (work / "outputs/default").iterdir()
    said = primus("task=cancel", f"run={sweep.name}")
    assert (said.code, said.out) == (0, f"run     {sweep}  (killed)\n")
    launcher.communicate()
    assert launcher.returncode == 130
    assert status(sweep / "0") == ("KILLED", 130)
    assert json.loads((sweep / "sweep.json").read_text())["status"] == "KILLED"


@pytest.mark.docker
@pytest.mark.parametrize("launcher_lives", [True, False])
def test_a_run_in_a_container_is_told_of_and_cancelled_alike(
    start: Start, rank: Rank, work: Path, primus: Primus, docker: Docker, launcher_lives: bool
) -> None:
    (work / "rank.py").write_text("import time; print('begun', flush=True); time.sleep(600)")
    inside = ("runtime=container", "container=docker", f"container.image={docker.image}")
    launcher = start("task=command", "task.command=[python3,-I,-S,rank.py]", OFF, *inside)
    assert launcher.stdout
    assert launcher.stdout.readline() == "begun\n"
    (run,) = (work / "outputs/default").iterdir()
    assert "(running)" in primus("task=status", f"run={run.name}").out
    assert primus("task=logs", f"run={run.name}").out.endswith("| begun\n")
    if not launcher_lives:
        launcher.kill()
    assert primus("task=cancel", f"run={run.name}").code == 0
    assert docker.empty()
    assert status(run) == ("KILLED", 130)
    launcher.communicate()


@pytest.fixture
def in_slurm(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that is job 77 of the cluster alpha, which answers here."""
    run = work / "outputs/default/20261121-093012-4f2a9c"
    make_run(run)
    handle.write(run, handle.ours("slurm", "77", cluster="alpha"))
    monkeypatch.setattr(controller, "cluster", lambda: "alpha")
    monkeypatch.setattr(controller, "states", lambda asked: {job: State("RUNNING") for job in asked})
    monkeypatch.setattr(controller, "directory", lambda job: str(run))
    return run


def test_a_job_of_another_cluster_is_cancelled_there(
    primus: Primus, in_slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "cluster", lambda: "beta")
    said = primus("task=cancel", f"run={in_slurm.name}", OFF)
    assert said.code == 3
    assert f"{in_slurm.name} is job 77 of Slurm cluster alpha: cancel it there" in said.err
    assert not (in_slurm / "result.json").exists()


def test_a_job_of_another_user_is_not_waited_for(
    primus: Primus, in_slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = Answer(1, "", "scancel: error: Kill job error on job id 77: Access/permission denied\n")
    monkeypatch.setattr(controller, "call", lambda *given: denied)
    said = primus("task=cancel", f"run={in_slurm.name}", OFF)
    assert said.code == 3
    assert f"is run by {handle.user_name()}, who alone can cancel it" in said.err
