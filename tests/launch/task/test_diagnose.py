"""What went wrong, said of real runs that failed, and of logs of other launchers."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ...conftest import Primus, Rank

OFF = "tracking.enabled=false"
LOGS = Path(__file__).parents[1] / "diagnosis/logs"
FULL = "raise OSError(28, 'No space left on device', '/data/out')"


def test_the_last_screen_of_a_failed_job_says_what_it_most_likely_is(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*rank(FULL), OFF)
    assert said.code == 1
    (run,) = (work / "outputs/default").iterdir()
    lines = said.err.splitlines()
    start = lines.index("primus: most likely: the disk is full")
    assert lines[start + 1] == "    > OSError: [Errno 28] No space left on device: '/data/out'"
    assert lines[start + 2].startswith("      in logs/node-0/rank-0.log:")
    assert lines[start + 3] == "    Writing '/data/out' failed for want of room."
    assert "  what to do:" in lines
    kept = json.loads((run / "result.json").read_text())["diagnosis"]
    assert (kept["failure"], kept["evidence"]["rank"]) == ("disk-full", 0)
    assert "most likely: the disk is full" in (run / "report.html").read_text()


def test_a_run_is_diagnosed_afterwards(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank(FULL), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=diagnose", f"run={run.name}")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[:2] == [
        f"outputs/default/{run.name}:",
        "primus: rank 0 on node 0 failed first: it ended with exit code 1.",
    ]
    assert "primus: most likely: the disk is full" in lines
    told = json.loads(primus("task=diagnose", f"run={run.name}", "task.format=json").out)
    assert (told["run"], told["state"], told["failure"]) == (run.name, "FAILED", "disk-full")


def test_a_run_that_matches_nothing_is_said_to_be_unknown(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank("raise RuntimeError('the moon is full')"), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=diagnose", f"run={run.name}")
    assert "primus: most likely: unknown: no known failure matches what the logs say" in said.out


def test_a_run_that_finished_is_said_to_be_well_unless_its_loss_is_not(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank("print('well')"), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=diagnose", f"run={run.name}")
    assert said.out == f"primus: outputs/default/{run.name} is finished, and nothing in it looks like a failure\n"
    (run / "metrics/rank-0.jsonl").write_text('{"time": 1.0, "step": 1, "loss": NaN}\n')
    assert "most likely: the loss or a gradient is not a number" in primus("task=diagnose", f"run={run.name}").out


def test_the_jobs_of_a_sweep_are_diagnosed_each(primus: Primus, work: Path, rank: Rank) -> None:
    text = "import os\nif os.environ['WHICH'] == 'b': raise OSError(28, 'No space left on device')"
    primus("-m", *rank(text), OFF, "env.set.WHICH=a,b")
    (sweep,) = (work / "outputs/default").iterdir()
    out = primus("task=diagnose", f"run={sweep.name}").out
    assert f"outputs/default/{sweep.name}/0 is finished" in out
    assert "most likely: the disk is full" in out


def test_a_log_of_another_launcher_is_read(primus: Primus, monkeypatch: pytest.MonkeyPatch) -> None:
    said = primus("task=diagnose", f"log={LOGS / 'hip-out-of-memory.log'}")
    lines = said.out.splitlines()
    assert (said.code, said.err, lines[0]) == (0, "", "primus: rank 0 failed first (its error comes first in the log).")
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[4].startswith("  torch.OutOfMemoryError: HIP out of memory.")
    assert "primus: most likely: the GPU ran out of memory" in lines
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((LOGS / "xid-79.log").read_bytes())))
    told = json.loads(primus("task=diagnose", "log=-", "task.format=json").out)
    assert (told["log"], told["failure"], told["evidence"]["log"]) == ("-", "gpu-hardware", "standard input")


def test_a_log_without_ranks_names_no_node_and_an_empty_one_is_said_to_be_empty(primus: Primus, work: Path) -> None:
    said = primus("task=diagnose", f"log={LOGS / 'nccl-time-out.log'}").out
    assert said.startswith("primus: rank 5 failed first (its error comes first in the log).\n")
    head = "Traceback (most recent call last):"
    (work / "two.log").write_text(f"[rank0]: {head}\n[rank2]: {head}\n[rank2]: RuntimeError: CUDA out of memory.\n")
    said = primus("task=diagnose", "log=two.log").out
    assert "primus: most likely: the GPU ran out of memory (by rank 2)\n" in said
    (work / "empty.log").touch()
    assert primus("task=diagnose", "log=empty.log").out == "primus: the log is empty\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "task=diagnose needs a run: run="),
        (("log=none.log",), "log: none.log cannot be read: No such file or directory"),
        (("log=.",), "log: . cannot be read: Is a directory"),
        (("log=a", "run=b"), "task=diagnose takes run=<run> or log=<file>, not both"),
    ],
)
def test_what_cannot_be_read_is_refused(primus: Primus, words: tuple[str, ...], said: str) -> None:
    ended = primus("task=diagnose", *words)
    assert ended.code == 2
    assert said in ended.err


def test_a_rank_that_the_kernel_killed_comes_with_the_memory_numbers(rank: Rank, work: Path) -> None:
    group = Path("/sys/fs/cgroup/memory", f"primus-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(300 << 20))
    except OSError as error:
        pytest.skip(f"no group of memory can be made here: {error}")
    words = rank("held = []\nwhile True: held.append(bytearray(8 << 20))")
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    try:
        shell = 'echo $$ > $0/cgroup.procs; exec "$@"'
        argv = ["sh", "-c", shell, str(group), sys.executable, "-m", "primus", *words, OFF]
        ended = subprocess.run(
            argv,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        group.rmdir()
    assert ended.returncode == 1
    (run,) = (work / "outputs/default").iterdir()
    outcome = json.loads((run / "nodes/0.json").read_text())["outcome"]
    assert outcome["memory"]["limit"] == 300 << 20
    assert 0 < outcome["ranks"][0]["memory_peak"] <= outcome["memory"]["peak"] <= 300 << 20
    assert "primus: most likely: the host ran out of memory, and the kernel killed the process" in ended.stderr
    assert "its cgroup allows 0.3 GiB" in ended.stderr
