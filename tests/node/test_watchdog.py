"""Jobs of real processes that make no progress, under a real node agent."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from primus.node import rundir
from primus.node.plan import Watchdog

from ..conftest import PATIENCE
from .conftest import ARRIVES, arrived, ended, progress

SOON = Watchdog(1.0)
HERE = ': > "$PRIMUS_RUN_DIR/arrived-$RANK"'
"""What ARRIVES is in Python, in a shell."""

# Waits in `load` for ever, but for rank 1, which stops itself there.
STOPS = f"""
import os, signal, time
def load():
    {ARRIVES}
    if os.environ["RANK"] == "1": os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
load()
"""


def hang(run, *ranks, **how):
    """Run a job to its end, in which nothing hangs before these ranks have come where they are to hang."""
    with progress(run, lambda: not arrived(run, *ranks)):
        return run.finish(**how)


PY_SPY = shutil.which("py-spy", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))


def bare() -> dict[str, str]:
    """An environment without py-spy."""
    folders = os.environ["PATH"].split(os.pathsep)
    return {"PATH": os.pathsep.join(folder for folder in folders if not (Path(folder) / "py-spy").exists())}


def test_a_rank_that_is_stopped_is_named_and_killed(make):
    run = make(STOPS, ranks=3, watchdog=SOON, grace_period=0.1)
    assert hang(run, 0, 1, 2).code == 1
    assert run.outcome["status"] == "failed"
    assert run.outcome["message"].startswith("no rank made progress for 1 s: ranks 0 and 2 ")
    assert run.outcome["message"].endswith("; rank 1 on node 0 is stopped (SIGSTOP)")
    cause = run.root_cause
    assert (cause["rank"], cause["hung"], cause["signal"]) == (1, True, "SIGKILL")
    assert cause["error"] == run.outcome["message"]
    assert run.outcome["message"] in run.own_log


def test_py_spy_tells_the_stacks_of_all_ranks_the_stopped_one_too(make):
    run = make(STOPS, ranks=2, watchdog=SOON, grace_period=0.1)
    hang(run, 0, 1)
    text = run.text(rundir.stacks(0))
    assert text.count("  load (<string>:") == 2
    assert text.count(" is stopped (SIGSTOP)\n") == 1
    for rank in (0, 1):
        assert run.messages(rank)[-1] == f"primus: {run.outcome['message']}"
        assert any(line.startswith("  load (<string>:") for line in run.messages(rank))


def test_without_py_spy_faulthandler_tells_them_where_it_is_registered(make, tmp_path):
    script = f"import faulthandler, signal\nfaulthandler.register(signal.SIGUSR2)\n{STOPS}"
    # Beside the interpreter of these tests there is py-spy, which would be found there: of the rank, and of the agent.
    alone = tmp_path / "bin" / "python3"
    alone.parent.mkdir()
    alone.symlink_to(os.path.realpath(sys.executable))
    run = make(
        argv=["/usr/bin/env", sys.executable, "-I", "-S", "-c", script], ranks=2, watchdog=SOON, grace_period=0.1
    )
    hang(run, 0, 1, env=bare(), python=str(alone))
    text = run.text(rundir.stacks(0))
    assert "load (<string>:" in text.split("rank 1")[0]
    assert text.endswith(" is stopped (SIGSTOP)\n")
    assert run.outcome["message"].endswith(
        "rank 0 on node 0 is in load (<string>:8); rank 1 on node 0 is stopped (SIGSTOP)"
    )


def test_what_a_shell_script_started_is_looked_into_as_well(make):
    script = f"{sys.executable} -I -S -c 'import os, time\ndef load():\n  {ARRIVES}; time.sleep(600)\nload()'; true"
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    hang(run, 0, env=bare())  # py-spy is beside the agent's interpreter
    assert run.outcome["message"].endswith("rank 0 on node 0 is in load (<string>:3)")


def test_py_spy_is_asked_again_where_it_fails(make, tmp_path):
    """At a Python that only starts, or that moves while it is read."""
    asked = tmp_path / "py-spy"
    asked.write_text(f"""#!/bin/sh
if [ -e "$0.asked" ]; then exec {PY_SPY} "$@"; fi
: > "$0.asked"
exit 1
""")
    asked.chmod(0o755)
    # The first program is the system's, which has no py-spy beside it.
    run = make(argv=["/usr/bin/env", sys.executable, "-I", "-S", "-c", STOPS], watchdog=SOON)
    hang(run, 0, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (tmp_path / "py-spy.asked").exists()
    assert run.outcome["message"].endswith("rank 0 on node 0 is in load (<string>:6)")


def test_a_program_without_python_is_ended_as_well(make):
    run = make(argv=["sleep", "600"], watchdog=SOON)
    assert run.finish().code == 1
    assert run.outcome["message"] == ("no rank made progress for 1 s: rank 0 on node 0 has no stack that can be read")


def test_a_program_below_a_script_that_is_stopped_is_named(make):
    run = make(argv=["sh", "-c", f"sh -c '{HERE}; kill -STOP $$'; true"], watchdog=SOON, grace_period=0.1)
    hang(run, 0)
    assert "rank 0 on node 0 is stopped: its process " in run.outcome["message"]


def test_a_rank_that_has_ended_while_others_wait_is_the_one_that_is_missing(make):
    script = "import os, time\nprint(os.getpid(), flush=True)\nos.environ['RANK'] == '0' and time.sleep(600)"
    run = make(script, ranks=2, watchdog=SOON)
    with progress(run, lambda: not ended(run, 1)):
        assert run.finish().code == 1
    assert run.outcome["message"].endswith("; rank 1 on node 0 ended with exit code 0")
    assert run.root_cause["rank"] == 1


def test_a_heartbeat_by_any_means_and_a_line_of_metrics_are_progress(make):
    script = """
for i in 1 2 3 4 5 6 7; do touch "$PRIMUS_HEARTBEAT"; sleep 0.5; done
for i in 1 2 3 4 5 6 7; do echo '{"step": '$i'}' >> "$PRIMUS_METRICS"; sleep 0.5; done
"""
    run = make(argv=["sh", "-c", script], ranks=2, watchdog=Watchdog(3.0))
    assert run.finish().code == 0, run.own_log


def test_what_the_ranks_had_come_to_is_said(make):
    script = f"""echo 'reading   the data' > "$PRIMUS_HEARTBEAT"; {HERE}; sleep 600"""
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    hang(run, 0)
    assert "(before the first step: reading the data)" in run.outcome["message"]
    (run.directory / "arrived-0").unlink()
    script = f"""echo '{{"step": 7, "loss": 1.5}}' >> "$PRIMUS_METRICS"; {HERE}; sleep 600"""
    run = make(argv=["sh", "-c", script], watchdog=SOON)
    hang(run, 0)
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
    with progress(run, lambda: True):
        assert run.finish().code == 4
    assert run.outcome["message"] == "rank 1 ended with exit code 4"


REDUCES = f"""
import os, signal, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
def train_step(): dist.all_reduce(torch.ones(4))
train_step()
{ARRIVES}
if dist.get_rank() == 1: os.kill(os.getpid(), signal.SIGSTOP)
while True: train_step()
"""


@pytest.mark.torch
@pytest.mark.slow
def test_ranks_that_wait_in_a_collective_of_gloo_are_told_from_the_one_that_is_missing(make):
    run = make(argv=[sys.executable, "-c", REDUCES], ranks=3, watchdog=Watchdog(2.0), grace_period=0.1)
    with progress(run, lambda: not arrived(run, 0, 1, 2)):
        run.start().process.wait(2 * PATIENCE)
    assert run.outcome["message"].endswith(
        "ranks 0 and 2 wait in all_reduce (train_step, <string>:5); rank 1 on node 0 is stopped (SIGSTOP)"
    )
