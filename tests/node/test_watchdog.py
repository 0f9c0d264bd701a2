"""Jobs of real processes that make no progress, under a real node agent."""

import os
import sys
from pathlib import Path

import pytest

from primus.node import rundir
from primus.node.plan import Watchdog

SOON = Watchdog(1.0)

# Waits in `load` for ever, but for rank 1, which stops itself there.
STOPS = """
import os, signal, time
def load():
    if os.environ["RANK"] == "1": os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
load()
"""


def bare() -> dict[str, str]:
    """An environment without py-spy."""
    folders = os.environ["PATH"].split(os.pathsep)
    return {"PATH": os.pathsep.join(folder for folder in folders if not (Path(folder) / "py-spy").exists())}


def test_a_rank_that_is_stopped_is_named_and_killed(make):
    run = make(STOPS, ranks=3, watchdog=SOON, grace_period=0.1)
    assert run.finish().code == 1
    assert run.outcome["status"] == "failed"
    assert run.outcome["message"].startswith("no rank made progress for 1 s: ranks 0 and 2 ")
    assert run.outcome["message"].endswith("; rank 1 on node 0 is stopped (SIGSTOP)")
    cause = run.root_cause
    assert (cause["rank"], cause["hung"], cause["signal"]) == (1, True, "SIGKILL")
    assert cause["error"] == run.outcome["message"]
    assert run.outcome["message"] in run.own_log


def test_py_spy_tells_the_stacks_of_all_ranks_the_stopped_one_too(make):
    run = make(STOPS, ranks=2, watchdog=SOON, grace_period=0.1)
    run.finish()
    text = run.text(rundir.stacks(0))
    assert text.count("  load (<string>:") == 2
    assert text.count(" is stopped (SIGSTOP)\n") == 1
    for rank in (0, 1):
        assert run.messages(rank)[-1] == f"primus: {run.outcome['message']}"
        assert any(line.startswith("  load (<string>:") for line in run.messages(rank))


def test_without_py_spy_faulthandler_tells_them_where_it_is_registered(make):
    script = f"import faulthandler, signal\nfaulthandler.register(signal.SIGUSR2)\n{STOPS}"
    # The system's own folder of programs: py-spy is beside the interpreter of these tests, and looked for there.
    run = make(
        argv=["/usr/bin/env", sys.executable, "-I", "-S", "-c", script], ranks=2, watchdog=SOON, grace_period=0.1
    )
    run.finish(env=bare())
    text = run.text(rundir.stacks(0))
    assert "load (<string>:" in text.split("rank 1")[0]
    assert text.endswith(" is stopped (SIGSTOP)\n")
    assert run.outcome["message"].endswith(
        "rank 0 on node 0 is in load (<string>:7); rank 1 on node 0 is stopped (SIGSTOP)"
    )


def test_what_a_shell_script_started_is_looked_into_as_well(make):
    script = f"{sys.executable} -I -S -c 'def load():\n  import time; time.sleep(600)\nload()'; true"
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    run.finish()
    assert run.outcome["message"].endswith("rank 0 on node 0 is in load (<string>:2)")


def test_a_program_without_python_is_ended_as_well(make):
    run = make(argv=["sleep", "600"], watchdog=SOON)
    assert run.finish().code == 1
    assert run.outcome["message"] == ("no rank made progress for 1 s: rank 0 on node 0 has no stack that can be read")


def test_a_program_below_a_script_that_is_stopped_is_named(make):
    run = make(argv=["sh", "-c", "sh -c 'kill -STOP $$'; true"], watchdog=SOON, grace_period=0.1)
    run.finish()
    assert "rank 0 on node 0 is stopped: its process " in run.outcome["message"]


def test_a_rank_that_has_ended_while_others_wait_is_the_one_that_is_missing(make):
    run = make("import os, time; os.environ['RANK'] == '0' and time.sleep(600)", ranks=2, watchdog=SOON)
    assert run.finish().code == 1
    assert run.outcome["message"].endswith("; rank 1 on node 0 ended with exit code 0")
    assert run.root_cause["rank"] == 1


def test_a_heartbeat_by_any_means_and_a_line_of_metrics_are_progress(make):
    script = """
for i in 1 2 3 4 5 6; do touch "$PRIMUS_HEARTBEAT"; sleep 0.25; done
for i in 1 2 3 4 5 6; do echo '{"step": '$i'}' >> "$PRIMUS_METRICS"; sleep 0.25; done
"""
    run = make(argv=["sh", "-c", script], ranks=2, watchdog=Watchdog(2.0))
    assert run.finish().code == 0, run.own_log


def test_what_the_ranks_had_come_to_is_said(make):
    script = """echo 'reading   the data' > "$PRIMUS_HEARTBEAT"; sleep 600"""
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    run.finish()
    assert "(before the first step: reading the data)" in run.outcome["message"]
    script = """echo '{"step": 7, "loss": 1.5}' >> "$PRIMUS_METRICS"; sleep 600"""
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    run.finish()
    assert run.outcome["message"].startswith("no rank made progress for 1 s after step 7:")


def test_a_hang_that_is_only_to_be_reported_lets_the_job_go_on(make):
    script = """
import os, time
said = os.environ["PRIMUS_RUN_DIR"] + "/stacks/node-0.txt"
while not os.path.exists(said): time.sleep(0.01)
"""
    run = make(script, watchdog=Watchdog(1.0, "report"))
    assert run.finish().code == 0
    assert run.outcome["status"] == "finished"
    assert "no rank made progress for 1 s" in run.own_log


def test_a_rank_that_fails_by_itself_stays_the_cause(make):
    script = "import os, time; time.sleep(600) if os.environ['RANK'] == '0' else os._exit(4)"
    run = make(script, ranks=2, watchdog=SOON)
    assert run.finish().code == 4
    assert run.outcome["message"] == "rank 1 ended with exit code 4"


# The test's own heartbeat while torch is imported, which takes longer than what is to be noticed.
REDUCES = """
import os, signal, sys, threading, time
ready = threading.Event()
def beat():
    while not ready.wait(0.1): open(os.environ["PRIMUS_HEARTBEAT"], "w").close()
threading.Thread(target=beat, daemon=True).start()
import torch, torch.distributed as dist
dist.init_process_group("gloo")
def train_step(): dist.all_reduce(torch.ones(4))
train_step()
ready.set()
if dist.get_rank() == 1: os.kill(os.getpid(), signal.SIGSTOP)
while True: train_step()
"""


@pytest.mark.torch
@pytest.mark.slow
def test_ranks_that_wait_in_a_collective_of_gloo_are_told_from_the_one_that_is_missing(make):
    run = make(argv=[sys.executable, "-c", REDUCES], ranks=3, watchdog=Watchdog(2.0), grace_period=0.1)
    run.start().process.wait(60)
    assert run.outcome["message"].endswith(
        "ranks 0 and 2 wait in all_reduce (train_step, <string>:9); rank 1 on node 0 is stopped (SIGSTOP)"
    )
