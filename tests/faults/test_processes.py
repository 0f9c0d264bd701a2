"""What becomes of a job when one of its processes, its directory or its clock is taken away from it."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from ..cluster.slurm import Slurm
from ..conftest import PATIENCE, PATIENT, Primus, Rank
from .conftest import OFF, Marked, RunDirectory, read, recorded, soon

DETACHED = """
import json, os, signal, sys, time
child = os.fork()
if child == 0:  # as a daemon is: in a session of its own, deaf to SIGTERM
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    time.sleep(600)
os.waitpid(child, 0)
metrics = open(os.environ["PRIMUS_METRICS"], "a")
for n in range(1, 6):
    metrics.write(json.dumps({"time": time.time(), "step": n, "loss": 1 / n}) + "\\n")
metrics.flush()
name = f"pid-{os.environ['RANK']}"
with open(name + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(name + ".part", name)
time.sleep(600)
"""

STEPS = [(n, 1 / n) for n in range(1, 6)]


def ranks(work: Path, count: int = 2) -> list[int]:
    """The processes of the ranks, once all of them have written their metrics."""
    soon(lambda: len([*work.glob("pid-?")]) == count)
    return [int((work / f"pid-{n}").read_text()) for n in range(count)]


def above(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("victims", "said"),
    [
        (("rank",), "rank 1 on node 0 failed first: it was killed by SIGKILL"),
        (("agent",), "the node agent was ended by SIGKILL"),
        (("guard",), "the guard of the node agent was killed"),
        (("guard", "agent"), "the node agent was killed by SIGKILL"),
    ],
    ids=["rank", "agent", "guard", "guard and agent"],
)
def test_a_job_whose_processes_are_killed_says_which_and_leaves_none(
    marked: Marked, rank: Rank, work: Path, run_directory: RunDirectory, victims: tuple[str, ...], said: str
) -> None:
    process = marked(*rank(DETACHED), OFF, "ranks_per_node=2")
    first, second = ranks(work)
    agent = above(first)
    pids = {"rank": second, "agent": agent, "guard": above(agent)}
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (1, 130)
    assert said in err
    assert marked.none_is_left()
    assert read(run_directory() / "result.json")["metrics"]["loss"] == 0.2


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.parametrize("victims", [("launcher",), ("launcher", "guard", "agent")], ids=" and ".join)
def test_a_killed_launcher_leaves_no_process_and_a_complete_record(
    marked: Marked, rank: Rank, work: Path, run_directory: RunDirectory, victims: tuple[str, ...]
) -> None:
    process = marked(*rank(DETACHED), PATIENT, "ranks_per_node=2")
    first, _ = ranks(work)
    agent = above(first)
    pids = {"launcher": process.pid, "agent": agent, "guard": above(agent)}
    soon(lambda: read(run_directory() / "record.json")["run_id"] if (run_directory() / "record.json").exists() else 0)
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert marked.none_is_left()
    result = read(run_directory() / "result.json")
    assert (result["status"], result["message"]) == ("KILLED", "the launcher was killed")
    assert recorded(run_directory(), "loss") == recorded(run_directory(), "rank1/loss") == STEPS


def test_a_killed_launcher_of_a_sweep_leaves_no_process(marked: Marked, rank: Rank, work: Path) -> None:
    text = DETACHED.replace("os.environ['RANK']", "os.environ['A']")
    process = marked("-m", *rank(text), OFF, "env.set.A=0,1", "hydra.launcher.parallel=2")
    ranks(work)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert marked.none_is_left()


@pytest.mark.slurm
def test_a_launcher_that_is_killed_leaves_its_slurm_job_alone(
    slurm: Slurm, marked: Marked, primus: Primus, rank: Rank, work: Path, run_directory: RunDirectory
) -> None:
    """It may have been a laptop's: the job is Slurm's, and found again by its directory."""
    text = "import os, time; open('pid-0', 'w').close()\nwhile not os.path.exists('go on'): time.sleep(0.05)"
    process = marked("runtime=slurm", *rank(text), OFF)
    soon((work / "pid-0").exists)
    process.kill()
    process.communicate(timeout=PATIENCE)
    (work / "go on").touch()
    slurm.wait(read(run_directory() / "handle.json")["job_id"], "COMPLETED")
    said = primus("task=status", f"run={run_directory()}")
    assert said.code == 0
    assert read(run_directory() / "result.json")["status"] == "FINISHED"
    assert marked.none_is_left()


@pytest.mark.slurm
@pytest.mark.mlflow
@pytest.mark.slow
def test_a_launcher_of_a_sweep_that_is_killed_leaves_its_slurm_jobs_alone_and_its_record_is_completed_later(
    slurm: Slurm, marked: Marked, primus: Primus, rank: Rank, work: Path, run_directory: RunDirectory
) -> None:
    text = DETACHED.replace("os.environ['RANK']", "os.environ['A']")
    text = text.replace("time.sleep(600)\n", "while not os.path.exists('go on'): time.sleep(0.05)\n")
    process = marked("runtime=slurm", "-m", *rank(text), "env.set.A=0,1")
    ranks(work)
    soon((run_directory() / "record.json").exists)
    process.kill()
    _, err = process.communicate(timeout=PATIENCE)
    assert "its jobs are Slurm's and go on" in err, "its recorder does not wait for them"
    (work / "go on").touch()
    for index in (0, 1):
        soon((run_directory() / f"{index}/result.json").exists)
    assert primus("task=status", f"run={run_directory()}").code == 0
    for index in (0, 1):
        assert read(run_directory() / f"{index}/result.json")["status"] == "FINISHED"
        assert recorded(run_directory() / str(index), "loss") == STEPS


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_run_directory_that_is_removed_costs_what_was_in_it_and_not_the_job(
    marked: Marked, rank: Rank, work: Path, run_directory: RunDirectory
) -> None:
    text = DETACHED.replace("time.sleep(600)\n", "while not os.path.exists('go on'): time.sleep(0.01)\n")
    process = marked(*rank(text.replace("child = os.fork()", "child = 1").replace("os.waitpid(child, 0)", "")), PATIENT)
    ranks(work, 1)
    run = run_directory()
    soon(lambda: (run / "record.json").exists() and read(run / "record.json")["offsets"])
    while run.exists():  # the recorder may be writing in it
        shutil.rmtree(run, ignore_errors=True)
    (work / "go on").touch()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "the run directory was removed while the job ran" in err
    assert "Traceback" not in err
    result = read(run / "result.json")
    assert result["status"] == "FINISHED"
    assert "removed" in result["message"]
    assert recorded(run, "loss") == STEPS, "they were in the record by then"
    assert (run / "plan.json").is_file()
    assert marked.none_is_left()


FIFTY = """
import os, sys
import primus.cli, primus.launch.app, primus.launch.run  # once, so that fifty start within moments

def begin(n):
    if pid := os.fork():
        return pid
    os.dup2(os.open(f"out-{n}", os.O_WRONLY | os.O_CREAT), 1)
    try:
        primus.cli.main()
    except SystemExit as ended:
        os._exit(ended.code)

print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in [begin(n) for n in range(50)]))
"""


def test_fifty_runs_that_start_at_once_in_one_output_root_are_fifty_runs(
    marked: Marked, rank: Rank, work: Path
) -> None:
    process = marked(*rank("import os; print(os.environ['PRIMUS_RUN_ID'])"), OFF, program=("-c", FIFTY))
    out, err = process.communicate(timeout=5 * PATIENCE)
    assert out.split() == ["0"] * 50, err
    names = {(work / f"out-{n}").read_text().split()[0] for n in range(50)}
    assert len(names) == 50
    assert {path.name for path in (work / "outputs/default").iterdir()} == names
    assert all(read(work / f"outputs/default/{name}/result.json")["status"] == "FINISHED" for name in names)


CLOCK = """
import os, runpy, sys, time
real = time.time
def shifted():
    try:
        with open(os.environ["JUMP"]) as file:
            return real() + float(file.read())
    except (OSError, ValueError):
        return real()
time.time = shifted
"""
AGENT = CLOCK + "sys.argv.pop(0)\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
LAUNCHER = CLOCK + "sys.executable = os.environ['PYTHON']\nrunpy.run_module('primus', run_name='__main__')\n"
SETS_THE_CLOCK = """
import os, signal, sys, time
if os.environ["RANK"] == "0":
    while not os.path.exists("ready"): time.sleep(0.01)
    raise ValueError("this is what went wrong")
def end(number, frame):
    with open("jump.part", "w") as file: file.write(os.environ["SECONDS"])
    os.rename("jump.part", "jump")
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
open("ready", "w").close()
time.sleep(600)
"""


@pytest.mark.parametrize("seconds", ["86400", "-86400"])
def test_a_clock_that_is_set_by_a_day_changes_neither_the_cause_nor_the_length_of_a_job(
    marked: Marked, rank: Rank, work: Path, run_directory: RunDirectory, seconds: str
) -> None:
    """To set the host's clock takes the host: here it is that of Python, in the launcher and in the agent."""
    (work / "agent.py").write_text(AGENT)
    python = work / "python"
    python.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -I -S {work}/agent.py "$@"\n')
    python.chmod(0o755)
    words = (*rank(SETS_THE_CLOCK), OFF, "ranks_per_node=2")
    environ = {"JUMP": str(work / "jump"), "PYTHON": str(python), "SECONDS": seconds}
    process = marked(*words, program=("-c", LAUNCHER), **environ)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "rank 0 on node 0 failed first" in err
    result = read(run_directory() / "result.json")
    assert 0 <= result["ended"] - result["started"] < PATIENCE
    assert read(run_directory() / "nodes/0.json")["outcome"]["root_cause"]["rank"] == 0
    (other,) = [end for end in read(run_directory() / "nodes/0.json")["outcome"]["ranks"] if end["rank"] == 1]
    assert (other["exit_code"], other["started"] <= other["stopped"] <= other["ended"]) == (5, True)
    lines = (run_directory() / "logs/node-0/agent.log").read_text().splitlines()
    assert len({line[:10] for line in lines}) == 2, "people see the clock as it is set"
