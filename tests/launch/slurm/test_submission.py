"""`runtime=slurm` by the real command, on a real cluster of two nodes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, PATIENT, Primus, Rank, Start, everything, gone
from .following import STOPS, STUBBORN, job_of, read, soon, the_run

pytestmark = pytest.mark.slurm
OFF = "tracking.enabled=false"
SLURM = "runtime=slurm"


def test_a_job_is_submitted_followed_and_ends_as_a_direct_one_does(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path
) -> None:
    said = primus(SLURM, *rank("import os; print('hello from', os.uname().nodename)"), OFF)
    run, job = the_run(work), job_of(work)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == f"job     {job}  ({run.relative_to(work)})"
    assert any(line == f"hello from {node}" for line in lines for node in slurm.nodes)
    assert f"run     {run.relative_to(work)}  (finished)" in lines
    assert slurm.wait(job, "COMPLETED")["ExitCode"] == "0:0"
    handle = read(run / "handle.json")
    assert (handle["runtime"], handle["job_id"], handle["cluster"][:6]) == ("slurm", job, "primus")
    assert (run / "job.sbatch").read_text().startswith("#!/bin/bash\n#SBATCH --job-name=primus-")


def test_the_users_defaults_for_slurms_commands_change_nothing_that_primus_says(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SBATCH_REQUEUE": "1", "SBATCH_ERROR": f"{work}/errors", "SBATCH_ARRAY_INX": "0-1", "SBATCH_WAIT": "1",
        "SBATCH_CLUSTERS": "nowhere", "SQUEUE_PARTITION": "short", "SQUEUE_STATES": "PENDING",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    said = primus(SLURM, *rank("import sys; print('to the log', file=sys.stderr)"), OFF)
    assert said.code == 0, said.err
    told = slurm.job(job_of(work))
    assert (told["Requeue"], "ArrayTaskId" in told) == ("0", False)
    assert not (work / "errors").exists()


def test_ranks_of_two_nodes_meet_over_real_addresses(primus: Primus, rank: Rank, slurm: Slurm) -> None:
    text = "import os; e = os.environ; print(os.uname().nodename, e['RANK'], e['WORLD_SIZE'], e['MASTER_ADDR'])"
    said = primus(SLURM, "runtime.nodes=2", *rank(text), OFF, "console.ranks=all")
    assert said.code == 0, said.err
    shown = sorted(line for line in said.out.splitlines() if line.startswith("[r"))
    address = shown[0].split()[-1]
    assert shown == [f"[r{i}] {node} {i} 2 {address}" for i, node in enumerate(slurm.nodes)]
    assert not address.startswith("127.")


def test_a_rank_that_fails_gives_slurm_its_code_and_the_user_its_traceback(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path
) -> None:
    text = "import os, sys, time\nif os.environ['RANK'] == '0': time.sleep(600)\nprint('no luck'); sys.exit(3)"
    said = primus(SLURM, "runtime.nodes=2", *rank(text), OFF)
    assert said.code == 1
    assert "rank 1 on node 1 failed first: it ended with exit code 3." in said.err
    assert "  no luck" in said.err
    told = slurm.wait(job_of(work), "FAILED", "COMPLETED")
    assert (told["JobState"], told["ExitCode"]) == ("FAILED", "3:0")
    assert read(the_run(work) / "result.json")["root_cause"]["node_rank"] == 1


def test_a_rank_that_a_signal_killed_is_told_so(primus: Primus, rank: Rank, slurm: Slurm, work: Path) -> None:
    said = primus(SLURM, *rank("import os; os.kill(os.getpid(), 9)"), OFF)
    assert said.code == 1
    assert "rank 0 on node 0 failed first: it was killed by SIGKILL" in said.err
    assert slurm.wait(job_of(work), "FAILED", "COMPLETED")["ExitCode"] == "137:0"


WAITS = """
import os, time
with open("pid.part", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid.part", "pid")
time.sleep(600)
"""


def test_an_interrupt_cancels_the_job_and_ends_every_process(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(WAITS), OFF)
    pid = int(soon(lambda: (work / "pid").exists() and (work / "pid").read_text()))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert gone(pid)
    assert "(killed)" in out
    result = read(the_run(work) / "result.json")
    assert result["status"] == "KILLED"
    assert result["message"] == f"Slurm ended job {job_of(work)}: it was cancelled"


def test_a_second_interrupt_ends_every_process_at_once(start: Start, rank: Rank, slurm: Slurm, work: Path) -> None:
    process = start(SLURM, "runtime.nodes=2", "node.grace_period=600", *rank(STUBBORN), OFF)
    run = (job_of(work), the_run(work))[1]
    soon(lambda: len([*work.glob("begun-*")]) == 2)
    process.send_signal(signal.SIGINT)
    soon(lambda: len([*work.glob("told-*")]) == 2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "(killed)" in out
    for n in (0, 1):  # by the agent: where Slurm does it, after 30 s of its own, that is killed too
        assert f"SIGKILL to rank {n}" in (run / f"logs/node-{n}/agent.log").read_text()
        assert read(run / f"nodes/{n}.json")["outcome"]["status"] == "killed"


def test_a_job_that_is_cancelled_while_it_waits_is_killed_and_the_queue_is_shown(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank("print('never')"), OFF, "runtime.options={hold: true}")
    assert process.stdout
    job = job_of(work)
    process.stdout.readline()
    assert process.stdout.readline() == f"primus: job {job} waits in the queue (JobHeldUser)\n"
    slurm.ask("scancel", job)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    result = read(the_run(work) / "result.json")
    assert (result["status"], result["message"]) == (
        "KILLED",
        f"Slurm ended job {job} before it started: it was cancelled",
    )


def test_detached_the_command_returns_with_a_handle(primus: Primus, rank: Rank, slurm: Slurm, work: Path) -> None:
    said = primus(SLURM, *rank("print('hello')"), OFF, "runtime.detach=true")
    job, run = job_of(work), the_run(work)
    where = run.relative_to(work)
    assert said.code == 0
    assert said.out.splitlines() == [
        f"job     {job}",
        f"run     {where}  (submitted)",
        f"state   primus task=status run={where}",
        f"follow  primus task=logs run={where} follow=true",
        f"cancel  primus task=cancel run={where}",
    ]
    slurm.wait(job, "COMPLETED")
    assert read(run / "result.json")["status"] == "FINISHED"
    assert "hello" in (run / "logs/job.log").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["runtime.partition=debg"], 2, "'debg' is not among debug, short, urgent. Did you mean 'debug'?"),
        (["runtime.nodes=3"], 2, "runtime.nodes: 3 is more than the 2"),
        (["runtime.partition=short", "runtime.time=2:00:00"], 2, "runtime.time: 120 minutes is more than the 30"),
        (["output.root=/dev/shm/primus-test"], 2, "is on tmpfs, which only this machine sees"),
        (["runtime.options={array: 1-3}"], 2, "Primus sets --array itself"),
        (["runtime.options={gres: 'unicorn:1'}"], 2, "sbatch refuses the job"),
    ],
)
def test_what_cannot_run_is_refused_before_it_is_queued(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path, words: list[str], code: int, said: str
) -> None:
    told = primus(SLURM, *rank("print('never')"), OFF, *words)
    assert told.code == code
    assert said in told.err
    assert not Path("/dev/shm/primus-test").exists()
    assert not [path for path in everything(work) if path.endswith(("plan.json", "result.json", "handle.json"))]


def test_without_a_cluster_nothing_is_written(
    primus: Primus, rank: Rank, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(work / "slurm.conf"))
    said = primus(SLURM, *rank("print('never')"), OFF)
    assert said.code == 3
    assert "no Slurm cluster can be reached from here" in said.err
    assert everything(work) == ["rank.py"]


def test_a_dry_run_prints_the_whole_script_and_starts_nothing(
    primus: Primus, rank: Rank, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = primus(SLURM, *rank("print('never')"), "dry_run=true", "runtime.nodes=4", "runtime.options.mail-type=END")
    assert said.code == 0, said.err
    assert "  #SBATCH --nodes=4\n" in said.out
    assert "  #SBATCH --mail-type=END\n" in said.out
    assert "/primus/launch/job/__main__.py --directory " in said.out
    assert everything(work) == ["rank.py"]


def test_parameters_of_hydras_own_slurm_launcher_are_settings_of_a_sweep(
    primus: Primus, rank: Rank, slurm: Slurm
) -> None:
    words = ("-m", SLURM, *rank("print('never')"), "dry_run=true", "env.set.X=1,2", "hydra.launcher.partition=short")
    said = primus(*words, "hydra.launcher.timeout_min=10")
    assert said.code == 0, said.err
    assert said.out.count("#SBATCH --partition=short\n") == 1
    assert said.out.count("#SBATCH --time=10\n") == 1


def test_a_mistake_in_a_setting_names_the_file_and_line_that_made_it(primus: Primus, work: Path) -> None:
    (work / "mine/runtime").mkdir(parents=True)
    file = work / "mine/runtime/ours.yaml"
    file.write_text("# @package _global_\ndefaults:\n  - slurm\n  - _self_\nruntime:\n  nodes: many\n")
    said = primus("--config-dir", "mine", "runtime=ours", "task=command", "task.command=true", "dry_run=true")
    assert said.code == 2
    assert "runtime.nodes: expected a whole number, got 'many'" in said.err
    assert "ours.yaml:6" in said.err


def test_a_directory_of_any_name_and_a_secret_reach_the_ranks(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path
) -> None:
    text = "import os; print(len(os.environ['HF_TOKEN']), os.environ['HF_TOKEN'], os.environ['V'])"
    odd = "a b'c\"d $HOME %j ü"
    said = primus(
        SLURM, *rank(text), OFF, "env.set.HF_TOKEN=hf_abcdefgh", "env.set.V=x $y", f"output.root='{odd_hydra(odd)}'"
    )
    assert said.code == 0, said.err
    assert "11 *** x $y\n" in said.out
    (run,) = (work / odd / "default").iterdir()
    written = "".join(path.read_text() for path in run.rglob("*") if path.is_file())
    assert "hf_abcdefgh" not in written + said.out


def odd_hydra(text: str) -> str:
    """As it stands in a quoted string of Hydra's grammar."""
    return text.replace("'", r"\'")


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_job_that_is_asked_to_stop_goes_back_into_the_queue_and_on_in_its_directory_and_record(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(STOPS), PATIENT, "runtime.requeue=true")
    job = job_of(work)
    run = the_run(work)
    record = soon(lambda: (run / "record.json").exists() and read(run / "record.json").get("run_id"))
    slurm.ask("scancel", "--batch", "--signal=USR1", job)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    starts = [line for line in out.splitlines() if line.startswith("start ")]
    assert len(starts) == 2, out + err
    assert starts[0] == "start 0 after step 0"
    assert starts[1].startswith("start 1 after step ")
    assert f"primus: job {job} waits in the queue (BeginTime), start 2" in out
    assert read(run / "record.json")["run_id"] == record
    assert read(run / "record.json")["complete"]
    assert read(run / "result.json")["status"] == "FINISHED"
    assert (run / "attempts/1/nodes/0.json").is_file()
    assert not (run / "attempts/1/result.json").exists()
    assert not (run / "stop").exists()


WHOLE = ("runtime.nodes=2", "runtime.requeue=true", "runtime.options={exclusive: true}")
URGENT = ("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true")


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_job_that_is_preempted_is_asked_to_save_first_where_the_cluster_says_so_in_time(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(STOPS), PATIENT, *WHOLE)
    run = (job_of(work), the_run(work))[1]
    record = soon(lambda: (run / "record.json").exists() and read(run / "record.json").get("run_id"))
    slurm.ask(*URGENT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert "primus: stopped on request at step " in out
    starts = [line.split()[1] for line in out.splitlines() if line.startswith("start ")]
    assert starts == ["0", "1"]
    assert read(run / "attempts/1/nodes/0.json")["outcome"]["message"] == "stopped on request"
    assert read(run / "result.json")["status"] == "FINISHED"
    assert (read(run / "record.json")["run_id"], read(run / "record.json")["complete"]) == (record, True)


@pytest.mark.slow
def test_a_job_that_is_preempted_goes_back_into_the_queue(start: Start, rank: Rank, slurm: Slurm, work: Path) -> None:
    process = start(SLURM, *rank(STOPS), OFF, *WHOLE, "runtime.signal=0")
    run = (job_of(work), the_run(work))[1]
    soon(lambda: (run / "metrics/rank-1.jsonl").exists())
    slurm.ask(*URGENT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert "preempted; the job goes back into the queue" in out
    assert read(run / "result.json")["status"] == "FINISHED"


def test_a_job_that_may_not_start_again_has_failed_and_says_where_it_was(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(STOPS), OFF, "runtime.requeue=true", "runtime.max_restarts=0")
    job, run = job_of(work), the_run(work)
    soon(lambda: (run / "metrics/rank-0.jsonl").exists())
    slurm.ask("scancel", "--batch", "--signal=USR1", job)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    step = read(run / "result.json")["step"]
    assert f"stopped on request at step {step}; runtime.max_restarts=0 allows no further start" in err
    assert slurm.wait(job, "FAILED", "COMPLETED")["ExitCode"] == "1:0"


def test_a_start_too_many_by_slurm_itself_runs_nothing(start: Start, rank: Rank, slurm: Slurm, work: Path) -> None:
    process = start(SLURM, *rank(STOPS), OFF, "runtime.requeue=true", "runtime.max_restarts=0")
    job, run = job_of(work), the_run(work)
    soon(lambda: (run / "metrics/rank-0.jsonl").exists())
    slurm.ask("scontrol", "requeue", job)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "this is start 2: runtime.max_restarts=0 allows no further start" in err
    assert "start 1 after step" not in out
    assert read(run / "result.json")["step"] > 0


def test_without_requeue_a_job_that_is_asked_to_stop_is_finished(
    primus: Primus, start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(STOPS), OFF)
    job, run = job_of(work), the_run(work)
    soon(lambda: (run / "metrics/rank-0.jsonl").exists())
    slurm.ask("scancel", "--batch", "--signal=USR1", job)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    result = read(run / "result.json")
    assert (result["status"], result["message"]) == ("FINISHED", "stopped on request")


def test_a_job_whose_first_process_is_killed_is_told_the_truth_about(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(WAITS), OFF)
    soon(lambda: (work / "pid").exists())
    job = job_of(work)
    slurm.ask("scancel", "--batch", "--signal=KILL", job)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert f"Slurm job {job} is FAILED on " in err
    assert "its first process ended before it had written the result" in err
    assert gone(int((work / "pid").read_text()))


@pytest.mark.slow
def test_a_node_whose_cable_is_cut_ends_the_job_with_its_name(
    start: Start, rank: Rank, slurm: Slurm, work: Path
) -> None:
    process = start(SLURM, *rank(STOPS), OFF, "runtime.nodes=2", "node.lost_after=2")
    run = (job_of(work), the_run(work))[1]
    soon(lambda: (run / "metrics/rank-1.jsonl").exists())
    lost = slurm.nodes[1]
    with slurm.cut_off(lost):
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"lost node 1 ({lost})" in err
    assert read(run / "result.json")["status"] == "FAILED"


def test_the_first_process_of_a_job_needs_the_standard_library_alone() -> None:
    """It starts in 50 ms, and in an interpreter that has nothing of ours."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import primus.launch.job.first; print(*sys.modules)"
    root = str(Path(__file__).parents[3])
    argv = [sys.executable, "-I", "-S", "-c", code, root]
    loaded = subprocess.run(
        argv, capture_output=True, text=True, timeout=30, check=True, env={"PATH": os.environ["PATH"]}
    )
    foreign = {name.split(".")[0] for name in loaded.stdout.split()} - {*sys.stdlib_module_names, "primus", "__main__"}
    assert foreign == set()
