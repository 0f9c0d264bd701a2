"""When a job is taken for one that hangs."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from primus.node.plan import Watchdog

from ..conftest import PATIENCE, PATIENT, Primus, Start
from .test_planning import COMMAND, plan


def test_ranks_of_primus_are_looked_after_and_programs_of_the_user_where_he_says_so() -> None:
    assert plan().job.watchdog == Watchdog(1800.0, "end")
    assert plan("task=benchmark/gemm").job.watchdog == Watchdog(1800.0, "end")
    assert plan(*COMMAND).job.watchdog is None
    assert plan(*COMMAND, "watchdog.timeout=60").job.watchdog == Watchdog(60.0, "end")


def test_it_can_be_turned_off_and_can_report_alone() -> None:
    assert plan("watchdog.timeout=null").job.watchdog is None
    assert plan("watchdog.action=report", "watchdog.timeout=2.5").job.watchdog == Watchdog(2.5, "report")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("watchdog.timeout=0", "watchdog.timeout"),
        ("watchdog.timeout=soon", "'soon' is not among auto"),
        ("watchdog.action=restart", "'restart' is not among end, report"),
        ("watchdog.time=3", "watchdog.time"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(primus: Primus, word: str, said: str) -> None:
    ended = primus(*COMMAND, word, "dry_run=true")
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.torch
@pytest.mark.mlflow
@pytest.mark.slow
def test_a_training_whose_rank_is_stopped_ends_with_its_stacks_in_the_record(start: Start, work: Path) -> None:
    process = start(
        *("ranks_per_node=1", "gpu=cpu", "task.steps=1000000", "task.sequence_length=64", "task.eval.interval=null"),
        *("watchdog.timeout=3", "node.grace_period=0.1", "console.ranks=none", PATIENT),
    )
    run = _run_that_steps(work)
    os.kill(_rank(run), signal.SIGSTOP)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    head = errors.splitlines()[0]
    assert head.startswith("primus: rank 0 on node 0 holds up the job: no rank made progress for 3 s after step ")
    assert head.endswith(": rank 0 on node 0 is stopped (SIGSTOP)")
    assert json.loads((run / "record.json").read_text())["complete"]
    assert [path.name for path in (work / "outputs/mlartifacts").rglob("node-0.txt")] == ["node-0.txt"]


def _run_that_steps(work: Path) -> Path:
    """The run, once it has made a step. Until then it has heartbeats: its imports take longer than a hang is to."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for path in work.glob("outputs/default/*/metrics/rank-0.jsonl"):
            return path.parents[1]
        for folder in work.glob("outputs/default/*/heartbeats"):
            (folder / "rank-0").touch()
        time.sleep(0.05)
    raise AssertionError("no step was made")


def _rank(run: Path) -> int:
    """The process of the only rank: the one that leads a session below the agent and has the run in its environment."""
    wanted = f"PRIMUS_METRICS={run.resolve()}/metrics/rank-0.jsonl".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            found = wanted in (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if found and os.getsid(int(path.name)) == int(path.name):
            return int(path.name)
    raise AssertionError("no rank lives")
