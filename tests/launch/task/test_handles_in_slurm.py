"""Runs of a real Slurm, asked about and ended from another shell: the command that submitted them is gone."""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ...cluster.slurm import Slurm
from ...conftest import Primus, Rank, Start, command_lines, gone
from ...terminal import primus_at_a_terminal
from .waiting import TEXT, until

pytestmark = [pytest.mark.slurm]

DETACHED = ("runtime=slurm", "runtime.detach=true", "runtime.frozen=false", "tracking.enabled=false")

Submit = Callable[..., tuple[str, Path]]


@pytest.fixture
def submit(primus: Primus, rank: Rank, work: Path, slurm: Slurm) -> Submit:
    """Submit a job of these overrides, detached; its id and its directory."""

    def begin(*words: str) -> tuple[str, Path]:
        said = primus(*rank(TEXT), *DETACHED, *words)
        assert said.code == 0, said.err
        (run,) = (work / "outputs/default").iterdir()
        return json.loads((run / "handle.json").read_text())["job_id"], run

    return begin


def result(run: Path) -> tuple[str, int]:
    told = json.loads((run / "result.json").read_text())
    return told["status"], told["exit_code"]


def test_a_running_job_is_followed_and_cancelled_by_its_job_id(
    submit: Submit, primus: Primus, start: Start, work: Path, slurm: Slurm
) -> None:
    job, run = submit("runtime.nodes=2")
    follow = start("task=logs", f"run={job}", "follow=true", "rank=1")
    assert follow.stdout
    assert follow.stdout.readline().endswith("r1 | rank 1\n")
    told = json.loads(primus("task=status", f"run={job}", "task.format=json").out)
    assert (told["state"], told["job_id"]) == ("RUNNING", job)
    first, second = slurm.nodes
    assert told["where"] in (f"job {job} on {first[:-1]}[1-2]", f"job {job} on {first},{second}")
    assert f"job {job} on" in primus("task=runs").out
    said = primus("task=cancel", f"run={job}")
    assert (said.code, said.out) == (0, f"run     {run}  (killed)\n")
    assert slurm.job(job)["JobState"] == "CANCELLED"
    assert result(run) == ("KILLED", 130)
    follow.communicate()
    assert follow.returncode == 0
    pids = [int((work / f"pid-{n}").read_text()) for n in (0, 1)]
    assert all(map(gone, pids))


def test_a_pending_job_says_why_and_is_cancelled_before_it_begins(submit: Submit, primus: Primus, slurm: Slurm) -> None:
    job, run = submit("runtime.options.begin=now+1hour")
    until(lambda: "BeginTime" in primus("task=status", f"run={job}").out)
    assert "(pending)\nwhy     BeginTime\n" in primus("task=status", f"run={job}").out
    assert "pending (BeginTime)" in primus("task=runs").out
    assert primus("task=cancel", f"run={run.name}").code == 0
    assert slurm.job(job)["JobState"] == "CANCELLED"
    assert result(run) == ("KILLED", 130)
    assert "why     cancelled\n" in primus("task=status", f"run={job}").out


def test_a_job_that_left_no_result_gets_one_by_slurms_word(
    submit: Submit, primus: Primus, slurm: Slurm, work: Path
) -> None:
    job, run = submit()
    until(lambda: (work / "pid-0").exists())
    for pid in first_processes(run):
        with suppress(ProcessLookupError):  # the agent is a copy of it, and ends with it
            os.kill(pid, signal.SIGKILL)
    slurm.wait(job, "FAILED")
    assert not (run / "result.json").exists()
    said = primus("task=status", f"run={job}").out
    assert said.startswith(f"run     outputs/default/{run.name}  (failed)\nwhy     Slurm job {job} is FAILED on ")
    assert result(run)[0] == "FAILED"


@pytest.mark.slow
def test_an_array_is_counted_cancelled_in_part_and_then_whole(
    primus: Primus, rank: Rank, work: Path, slurm: Slurm
) -> None:
    text = "import time; open('begun-' + __import__('os').environ['N'], 'w'); time.sleep(600)"
    said = primus("-m", *rank(text), *DETACHED, "env.set.N=0,1,2", "runtime.array_parallelism=2")
    assert said.code == 0, said.err
    (sweep,) = (path for path in (work / "outputs/default").iterdir())
    array = json.loads((sweep / "handle.json").read_text())["job_id"]
    until(lambda: (work / "begun-0").exists() and (work / "begun-1").exists())
    assert "3 jobs: 1 pending, 2 running" in primus("task=status", f"run={array}").out
    assert "job " + array in primus("task=runs").out
    assert primus("task=cancel", f"run={array}_0").code == 0
    assert result(sweep / "0") == ("KILLED", 130)
    assert not (sweep / "1/result.json").exists()
    assert primus("task=cancel", f"run={sweep.name}").out == f"run     {sweep}  (killed)\n"
    assert [result(sweep / n) for n in "12"] == [("KILLED", 130)] * 2
    assert json.loads((sweep / "sweep.json").read_text())["status"] == "KILLED"
    assert not slurm.ask("squeue", "--noheader", f"--jobs={array}")


def first_processes(run: Path) -> list[int]:
    """Those of the job: they hold its agents, and write its result."""
    lines = command_lines()
    return [pid for pid, given in lines.items() if bytes(run) in given and any(b"/launch/job/" in w for w in given)]


def test_a_shell_is_opened_on_a_node_in_the_environment_of_a_rank(submit: Submit, work: Path, slurm: Slurm) -> None:
    job, _ = submit("env.set.NCCL_DEBUG=INFO")
    until(lambda: (work / "pid-0").exists())
    theirs = Path(f"/proc/{(work / 'pid-0').read_text()}/environ").read_bytes()
    (work / "go").touch()
    slurm.wait(job, "COMPLETED")
    words = ("task=shell", "runtime=slurm", "env.set.NCCL_DEBUG=INFO")
    with primus_at_a_terminal(*words, SHELL="/bin/sh", PS1="ready> ") as terminal:
        terminal.until("ready> ")
        terminal.type("test -t 0 && cat /proc/$$/environ > shell; echo on-$(hostname); exit 7\n")
        assert terminal.wait() == 7
    assert any(f"on-{node}" in terminal.shown for node in slurm.nodes)
    ours = variables((work / "shell").read_bytes())
    expected = variables(theirs)
    differing = {name for name in {*ours, *expected} if ours.get(name) != expected.get(name)}
    assert differing <= OF_A_START | OF_A_SHELL | OF_A_STEP | OF_THIS_TEST
    assert ours["NCCL_DEBUG"] == "INFO"
    assert not (work / "outputs/.shell").exists()


OF_A_START = {
    "PRIMUS_RUN_DIR",
    "PRIMUS_RUN_ID",
    "PRIMUS_METRICS",
    "PRIMUS_HEARTBEAT",
    "PRIMUS_STOP_FILE",
    "MASTER_PORT",
}
OF_A_SHELL = {"_", "OLDPWD", "PWD", "SHLVL", "SHELL", "PS1", "COLUMNS", "LINES"}
OF_A_STEP = {"TMPDIR", "ENVIRONMENT", "HOSTNAME"}
OF_THIS_TEST = {"PYTHONPATH", "PYTEST_CURRENT_TEST", "TORCHINDUCTOR_AUTOTUNE_NUM_CHOICES_DISPLAYED"}


def variables(text: bytes) -> dict[str, str]:
    pairs = (line.decode().partition("=") for line in text.split(b"\0") if line)
    return {name: value for name, _, value in pairs if not name.startswith(("SLURM", "SRUN", "SBATCH"))}


def test_a_cluster_that_is_not_there_is_said_and_nothing_is_left(
    primus: Primus, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    said = primus("task=shell", "runtime=slurm", "task.command=true")
    assert said.code == 3
    assert "no Slurm cluster can be reached from here" in said.err
    assert [*work.iterdir()] == []
