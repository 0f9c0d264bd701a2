"""Ranks that start again after a failure, under a real agent."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node import rundir
from primus.node.plan import Watchdog

from .conftest import ARRIVES, Run, arrived, progress
from .hooks.conftest import add_hooks

Make = Callable[..., Run]

# `start` is which this is, counted by each rank in a file of its own; ranks go on once all have come so far.
# `report(n)` writes the metrics of a step.
COUNTS = """
import json, os, signal, sys, time
rank, here = int(os.environ["RANK"]), os.environ["PRIMUS_RUN_DIR"]
with open(f"{here}/starts-{rank}", "a+") as file:
    print(os.environ["MASTER_PORT"], file=file, flush=True)
    file.seek(0)
    start = len(file.readlines())
def begun(other):
    return os.path.exists(f"{here}/starts-{other}") and len(open(f"{here}/starts-{other}").readlines()) >= start
while not all(map(begun, range(int(os.environ["WORLD_SIZE"])))): time.sleep(0.01)
def report(step, end="\\n"):
    with open(os.environ["PRIMUS_METRICS"], "a") as file:
        file.write(json.dumps({"time": time.time(), "step": step, "loss": 1.0}) + end)
def fail(): os.kill(os.getpid(), signal.SIGKILL)
"""


def starts(run: Run, rank: int = 0) -> list[str]:
    """The port that each start of a rank was given."""
    return run.text(f"starts-{rank}").split()


def test_all_ranks_start_again_after_one_has_failed_and_meet_anew(make: Make) -> None:
    script = COUNTS + "(fail() if rank else time.sleep(600)) if start == 1 else print('up')"
    run = make(script, ranks=2, restarts=3, restart_backoff=0.0)
    agent = run.finish()
    announced = b"primus: rank 1 was ended by SIGKILL; start 2 of 4 in 0 s\n"
    assert (agent.code, agent.shown, agent.errors) == (0, announced + b"up\n", b"")
    assert starts(run, 0) == starts(run, 1)
    assert len(set(starts(run, 0))) == 2
    assert (run.outcome["status"], run.outcome["message"]) == ("finished", "after 1 restart")
    assert run.facts["restarts"] == 1
    told = [(one["start"], one["status"], one["exit_code"], one["step"]) for one in run.facts["starts"]]
    assert told == [(1, "failed", 137, None), (2, "finished", 0, None)]


def test_a_start_is_marked_in_the_logs_and_in_the_metrics(make: Make) -> None:
    run = make(COUNTS + "report(start); fail() if start < 3 else print('up')", restarts=5, restart_backoff=0.0)
    run.finish()
    why = "rank 0 was ended by SIGKILL after step"
    assert run.messages() == [f"--- start {n + 1} of 6, after: {why} {n} ---" for n in (1, 2)] + ["up"]
    assert f"{why} 1; start 2 of 6 in 0 s" in run.own_log
    assert run.text(rundir.LAUNCH_LOG).count(f"WARN  agent | {why}") == 2
    lines = [json.loads(line) for line in run.text(rundir.host_metrics(0)).splitlines()]
    assert [(line["step"], line["restarts"]) for line in lines] == [(1, 1), (2, 2)]


def test_a_failure_that_repeats_at_the_same_step_is_not_started_again(make: Make) -> None:
    run = make(COUNTS + "report(start); report(3); sys.exit(5)", restarts=9, restart_backoff=0.0)
    agent = run.finish()
    assert agent.code == 5
    assert len(starts(run)) == 2
    words = "it failed after step 3 twice in a row, so it is not started again"
    assert run.outcome["message"] == f"rank 0 ended with exit code 5; {words} (after 1 restart)"
    assert f"primus: {words}\n".encode() in agent.shown
    assert run.root_cause["exit_code"] == 5


def test_there_are_no_more_starts_than_allowed(make: Make) -> None:
    run = make(COUNTS + "report(start); sys.exit(5)", restarts=2, restart_backoff=0.0)
    run.finish()
    assert len(starts(run)) == 3
    assert run.outcome["message"] == (
        "rank 0 ended with exit code 5; restart.max=2 allows no further start (after 2 restarts)"
    )


def test_a_configuration_that_a_worker_refuses_is_not_started_again(make: Make) -> None:
    run = make(COUNTS + "sys.exit(2)", workers=True, restarts=9, restart_backoff=0.0)
    run.finish()
    assert len(starts(run)) == 1
    assert run.outcome["message"] == "rank 0 ended with exit code 2"


def test_a_request_to_end_the_job_ends_it_for_good(make: Make) -> None:
    run = make(COUNTS + "print('up', flush=True); time.sleep(600)", restarts=9, restart_backoff=0.0)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 143
    assert len(starts(run)) == 1
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", "ended by SIGTERM")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_while_the_next_start_is_waited_for_ends_the_job_at_once(make: Make, number: signal.Signals) -> None:
    run = make(COUNTS + "sys.exit(5)", restarts=9, restart_backoff=300.0)
    agent = run.start()
    assert agent.line().endswith("start 2 of 10 in 300 s")
    agent.signal(number)
    assert agent.wait() == 128 + number
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", f"ended by {number.name}")


def test_the_end_of_the_launcher_while_the_next_start_is_waited_for_ends_the_job(make: Make) -> None:
    run = make(COUNTS + "sys.exit(5)", restarts=9, restart_backoff=300.0)
    theirs, ours = os.pipe()
    agent = run.start("--lifeline", str(theirs), pass_fds=(theirs,))
    os.close(theirs)
    assert "in 300 s" in agent.line()
    os.close(ours)
    agent.wait()
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", "the launcher of the job is gone")


def test_ranks_that_are_asked_to_stop_while_they_wait_start_at_once_to_save_and_end(make: Make) -> None:
    script = COUNTS + "sys.exit(not os.path.exists(os.environ['PRIMUS_STOP_FILE']))"
    run = make(script, workers=True, restarts=9, restart_backoff=300.0)
    agent = run.start()
    assert "in 300 s" in agent.line()
    agent.signal(signal.SIGUSR1)
    assert agent.wait() == 0
    assert run.outcome["message"] == "stopped on request (after 1 restart)"


def test_ranks_that_fail_when_they_were_asked_to_stop_are_not_started_again(make: Make) -> None:
    script = (
        COUNTS
        + "print('up', flush=True)\nwhile not os.path.exists(os.environ['PRIMUS_STOP_FILE']): time.sleep(0.01)\nfail()"
    )
    run = make(script, workers=True, restarts=9, restart_backoff=0.0)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGUSR1)
    assert agent.wait() == 137
    assert len(starts(run)) == 1


def test_the_grace_period_of_one_start_does_not_hit_the_ranks_of_the_next(make: Make) -> None:
    script = COUNTS + "time.sleep(1.0 if start > 1 else 0.0 if rank else 600.0); sys.exit(start == 1)"
    run = make(script, ranks=2, restarts=1, restart_backoff=0.0, grace_period=0.3)
    run.finish()
    assert [rank["exit_code"] for rank in run.outcome["ranks"]] == [0, 0]


def test_what_a_start_left_behind_is_gone_before_the_next(make: Make) -> None:
    script = (
        COUNTS
        + """
import subprocess
if start == 1:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(f"{here}/child", "w") as file: file.write(str(child.pid))
    fail()
print(os.path.exists("/proc/" + open(f"{here}/child").read()))
"""
    )
    run = make(script, restarts=1, restart_backoff=0.0)
    run.finish()
    assert run.messages()[-1] == "False"


def test_a_line_of_metrics_that_was_cut_off_does_not_spoil_the_next(make: Make) -> None:
    run = make(
        COUNTS + "report(start, '' if start == 1 else '\\n'); start == 1 and fail()", restarts=1, restart_backoff=0.0
    )
    run.finish()
    assert [json.loads(line)["step"] for line in run.text(rundir.rank_metrics(0)).splitlines()] == [1, 2]


def test_hooks_run_once_for_all_starts_and_what_they_leave_running_stays(make: Make) -> None:
    script = COUNTS + "start == 1 and fail(); print(os.path.exists('/proc/' + open(f'{here}/beside').read().strip()))"
    run = make(script, restarts=1, restart_backoff=0.0)
    beside = 'echo before; sleep 600 >/dev/null 2>&1 & echo $! > "$PRIMUS_RUN_DIR/beside"'
    add_hooks(run, {"before-10_a.sh": beside, "after-20_b.sh": "echo after $PRIMUS_STATUS"})
    run.finish()
    assert run.messages()[-1] == "True"
    said = [line.split(" | ")[1] for line in run.text(rundir.hooks_log(0)).splitlines()]
    assert said == ["before", "after finished"]
    assert not Path("/proc", run.text("beside").strip()).exists()


def test_without_restarts_a_failure_is_the_end(make: Make) -> None:
    run = make(COUNTS + "fail()")
    run.finish()
    assert len(starts(run)) == 1
    assert "starts" not in run.facts


HANGS = f"""{COUNTS}
if start == 1:
    {ARRIVES}
    os.kill(os.getpid(), signal.SIGSTOP) if rank else time.sleep(600)
"""


def moves(run: Run) -> bool:
    """Whether the ranks of HANGS are to make progress: before they hang, and in their second start.

    Not between the two, where nothing hangs that could.
    """
    log = run.directory / rundir.rank_log(0, 0)
    return not arrived(run, 0, 1) or (log.exists() and "--- start 2 of 2" in log.read_text())


def test_ranks_that_hang_start_again_and_nothing_hangs_while_they_wait(make: Make) -> None:
    run = make(HANGS, ranks=2, restarts=1, restart_backoff=1.0, watchdog=Watchdog(0.5), grace_period=0.1)
    with progress(run, lambda: moves(run)):
        agent = run.finish()
    assert agent.code == 0
    assert b"rank 1 on node 0 is stopped (SIGSTOP); start 2 of 2 in 1 s\n" in agent.shown
    assert run.outcome["message"] == "after 1 restart"
