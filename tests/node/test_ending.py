"""How a job ends, by itself or from outside: in good order, within its grace period, and with nothing left running."""

import os
import signal

import pytest

from primus.node import rundir

# Leaves a process in a session of its own, whose parent is gone, and which holds the rank's output open: it has printed
# its number by then.
ORPHAN = r"""
import os, signal, sys, time
def leave_orphan():
    told, tells = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(1, b"%d\n" % os.getpid())  # in one piece: two processes print
            os.close(tells)
            time.sleep(600)
        os._exit(0)
    os.wait()
    os.close(tells)
    os.read(told, 1)  # the end
leave_orphan()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print("up", flush=True)
while True: time.sleep(600)
"""


def test_processes_that_a_rank_leaves_behind_are_ended_with_the_job(make, ends):
    run = make(ORPHAN)
    agent = run.start()
    orphan = int(agent.line())
    assert agent.wait() == 0
    assert ends(orphan)
    assert run.outcome["status"] == "finished"
    assert "ended 1 process that the ranks had left behind" in run.own_log


def test_processes_left_behind_that_ignore_sigterm_are_killed(make, ends):
    run = make(ORPHAN.replace("os.write(", "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write("))
    agent = run.start()
    orphan = int(agent.line())
    assert agent.wait() == 0
    assert ends(orphan)


def test_processes_that_a_failed_rank_leaves_behind_are_ended(make, ends):
    run = make(ORPHAN + "sys.exit(3)")
    agent = run.start()
    orphan = int(agent.line())
    assert agent.wait() == 3
    assert ends(orphan)


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)], ids=lambda v: str(v)
)
def test_a_signal_ends_the_ranks_and_all_below_them(make, ends, signum, code):
    run = make(ORPHAN + "time.sleep(600)")
    agent = run.start()
    orphan = int(agent.line())
    agent.signal(signum)
    assert agent.wait() == code
    assert ends(orphan)
    assert run.outcome["status"] == "killed"
    assert run.outcome["message"] == f"ended by {signum.name}"
    assert run.outcome["root_cause"] is None
    assert run.outcome["ranks"][0]["signal"] == "SIGTERM"


def test_a_signal_lets_a_rank_save_its_work_and_still_counts_as_killed(make):
    script = """
import signal, sys, time
def save(*_):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("up", flush=True)
while True: time.sleep(600)
"""
    run = make(script)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 143
    assert agent.shown == b"saved\n"
    assert (run.outcome["status"], run.outcome["ranks"][0]["exit_code"]) == ("killed", 0)


def test_a_rank_that_ignores_sigterm_is_killed_after_the_grace_period(make):
    run = make(STUBBORN, grace_period=0.3)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 143
    end = run.outcome["ranks"][0]
    assert end["signal"] == "SIGKILL"
    assert end["ended"] - end["stopped"] >= 0.3
    assert "SIGKILL to rank 0" in run.own_log


def test_ranks_that_ignore_sigterm_are_killed_when_another_has_failed(make):
    script = STUBBORN.replace(
        "while True",
        """
import os, sys
with open(os.environ["PRIMUS_RUN_DIR"] + "/fifo", "r" if os.environ["RANK"] == "1" else "w") as meeting:
    if os.environ["RANK"] == "1":
        meeting.read()
        sys.exit(6)
while True""",
    )
    run = make(script, ranks=2, grace_period=0.2)
    os.mkfifo(run.directory / "fifo")
    assert run.finish().code == 6
    assert [r["signal"] for r in run.outcome["ranks"]] == ["SIGKILL", None]
    assert run.root_cause["rank"] == 1


def test_a_second_signal_kills_at_once(make):
    run = make(STUBBORN, grace_period=600.0)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGINT)
    assert agent.line() == "no"
    agent.signal(signal.SIGINT)
    assert agent.wait() == 130
    assert run.outcome["ranks"][0]["signal"] == "SIGKILL"


def test_one_signal_that_reaches_guard_and_agent_is_one_request(make):
    """Slurm's scancel signals every process of a step."""
    run = make(STUBBORN, grace_period=1.0)
    agent = run.start()
    assert agent.line() == "up"
    inner = agent.agent_pid
    agent.signal(signal.SIGTERM)
    os.kill(inner, signal.SIGTERM)
    assert agent.wait() == 143
    end = run.outcome["ranks"][0]
    assert end["ended"] - end["stopped"] >= 1.0  # it had its grace period
    assert run.messages() == ["up", "no"]


def test_sigusr1_is_passed_on_to_the_ranks(make):
    script = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: (print("checkpoint", flush=True), sys.exit(0)))
print("up", flush=True)
while True: signal.pause()
"""
    run = make(script)
    agent = run.start()
    assert agent.line() == "up"
    agent.signal(signal.SIGUSR1)
    assert agent.wait() == 0
    assert agent.shown == b"checkpoint\n"


def test_a_rank_without_a_handler_outlives_sigusr1_and_finds_the_stop_file(make):
    script = """
import os, time
print("up", flush=True)
while not os.path.exists(os.environ["PRIMUS_STOP_FILE"]): time.sleep(0.01)
"""
    run = make(script)
    (run.directory / rundir.STOP).touch()  # of an earlier start: it is gone before the rank is there
    agent = run.start()
    assert agent.line() == "up"
    assert not (run.directory / rundir.STOP).exists()
    agent.signal(signal.SIGUSR1)
    assert agent.wait() == 0
    assert (run.outcome["status"], run.outcome["message"]) == ("finished", "stopped on request")


def test_ranks_of_a_task_of_primus_ignore_sigusr1_and_those_of_a_user_do_not(make):
    """Slurm's scancel signals every process of a step; a shell cannot trap what was ignored when it began."""
    script = "import signal; print(signal.getsignal(signal.SIGUSR1).name)"
    assert make(script, workers=True).finish().shown == b"SIG_IGN\n"
    assert make(script).finish().shown == b"SIG_DFL\n"


def test_the_end_of_the_lifeline_ends_the_job(make, ends):
    ours, launchers = os.pipe()
    run = make(ORPHAN + "time.sleep(600)")
    agent = run.start("--lifeline", str(ours), pass_fds=(ours,))
    os.close(ours)
    orphan = int(agent.line())
    os.close(launchers)
    assert agent.wait() == 143
    assert ends(orphan)
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", "the launcher of the job is gone")


def test_a_killed_guard_ends_the_job(make, ends):
    """The guard is the process that a launcher, a user or the out-of-memory killer knows as the agent."""
    run = make(ORPHAN + "os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)")
    agent = run.start()
    pids = [int(agent.line()), int(agent.line())]
    inner = agent.agent_pid
    agent.signal(signal.SIGKILL)
    assert all(ends(pid) for pid in [*pids, inner])
    assert run.outcome["status"] == "killed"


def test_a_killed_agent_takes_everything_with_it_and_leaves_an_outcome(make, ends):
    run = make(ORPHAN + "os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)")
    agent = run.start()
    pids = [int(agent.line()), int(agent.line())]
    os.kill(agent.agent_pid, signal.SIGKILL)
    assert agent.wait() == 137
    assert all(ends(pid) for pid in pids)
    assert (run.outcome["status"], run.outcome["exit_code"]) == ("failed", 137)
    assert run.outcome["message"] == "the node agent was ended by SIGKILL"


def test_ranks_die_even_when_guard_and_agent_are_killed_together(make, ends):
    run = make("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    agent = run.start()
    rank = int(agent.line())
    inner = agent.agent_pid
    os.kill(agent.process.pid, signal.SIGSTOP)
    os.kill(inner, signal.SIGKILL)
    agent.signal(signal.SIGKILL)
    assert ends(rank)
