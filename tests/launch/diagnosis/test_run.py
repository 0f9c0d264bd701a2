"""The diagnosis of a run, from its run directory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from primus.launch.diagnosis import run
from primus.node.outcome import Outcome
from primus.node.restart import Part, Policy, counted

TRACEBACK = "Traceback (most recent call last):"
MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB"
GONE = "RuntimeError: Connection reset by peer"


def log(directory: Path, node: int, rank: int, *lines: str) -> str:
    name = f"logs/node-{node}/rank-{rank}.log"
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text("".join(f"2026-11-21T09:30:12.123 ERROR h r{rank} | {line}\n" for line in lines))
    return name


def report(directory: Path, node: int, *ranks: tuple[int, int], **more: Any) -> None:
    ends = [{"rank": r, "exit_code": code, "ended": 1.0, "log": f"logs/node-{node}/rank-{r}.log"} for r, code in ranks]
    (directory / "nodes").mkdir(exist_ok=True)
    (directory / f"nodes/{node}.json").write_text(json.dumps({"outcome": {"ranks": ends}, **more}))


def metrics(directory: Path, lines: Sequence[dict[str, Any]], name: str = "rank-0") -> None:
    (directory / "metrics").mkdir(exist_ok=True)
    text = "".join(json.dumps({"time": 1.0 + n, **line}) + "\n" for n, line in enumerate(lines))
    (directory / f"metrics/{name}.jsonl").write_text(text)


def losses(directory: Path, *values: float) -> None:
    metrics(directory, [{"step": n, "loss": value} for n, value in enumerate(values, 1)])


def of(directory: Path, rank: int | None = None, node: int = 0, **result: Any) -> dict[str, Any]:
    name = f"logs/node-{node}/rank-{rank}.log"
    cause = {"rank": rank, "node_rank": node, "log": name, "exit_code": 1} if rank is not None else None
    return run.of_run(directory, {"status": "FAILED", "message": None, "root_cause": cause, **result})


def test_the_line_of_the_log_is_told(tmp_path: Path) -> None:
    name = log(tmp_path, 0, 1, "a", "b", TRACEBACK, MEMORY)
    found = of(tmp_path, 1)
    assert found["failure"] == "device-memory"
    assert found["evidence"] == {"text": MEMORY, "log": name, "line": 4, "rank": 1, "node_rank": 0}


def test_the_line_is_right_in_a_log_of_which_the_end_alone_is_read(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, *["x" * 100] * 20_000, TRACEBACK, MEMORY)
    assert of(tmp_path, 0)["evidence"]["line"] == 20_002


def test_another_ranks_cause_explains_what_the_first_only_noticed(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, TRACEBACK, GONE)
    log(tmp_path, 1, 3, TRACEBACK, MEMORY)
    report(tmp_path, 0, (0, 1))
    report(tmp_path, 1, (3, 1))
    found = of(tmp_path, 0)
    assert (found["failure"], found["evidence"]["rank"], found["evidence"]["node_rank"]) == ("device-memory", 3, 1)


def test_a_rank_that_ended_well_explains_nothing(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, TRACEBACK, GONE)
    log(tmp_path, 0, 1, TRACEBACK, MEMORY)
    report(tmp_path, 0, (0, 1), (1, 0))
    assert of(tmp_path, 0)["failure"] == "peer-gone"


def test_the_logs_of_a_node_that_never_told_are_read(tmp_path: Path) -> None:
    report(tmp_path, 0, (0, 0))
    log(tmp_path, 0, 0, "all well")
    log(tmp_path, 1, 1, TRACEBACK, MEMORY)
    assert (
        of(tmp_path, message="node 1 left no outcome: its agent or its host was killed, or it never started")["failure"]
        == "device-memory"
    )


def test_the_message_of_the_run_is_evidence(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, "step 12")
    message = "rank 0 was ended by SIGKILL: the host ran out of memory (the rank had used 3.0 GiB)"
    found = of(tmp_path, 0, message=message)
    assert (found["failure"], found["evidence"]["log"], found["evidence"]["line"]) == ("oom-killer", "message", None)


@pytest.mark.parametrize("step", [None, 7])
@pytest.mark.parametrize("most", [0, 1])
def test_a_rank_that_was_killed_is_so_whatever_is_said_of_its_starts(
    tmp_path: Path, most: int, step: int | None
) -> None:
    said = "rank 0 was ended by SIGKILL"
    policy, part = Policy(most, 1.0, trains=True), Part("failed", said, 1.0, step, final=False)
    while (verdict := policy.decide([part])).start:
        pass
    assert verdict.words
    for message in (said, f"{said}; {verdict.words}"):
        for restarts in range(3):
            told = counted(Outcome("failed", 1, message, None, ()), restarts).message
            assert of(tmp_path, 0, message=told)["failure"] == "killed"
    assert of(tmp_path, 0, message=f"{said}: the host ran out of memory (...)")["failure"] == "oom-killer"


def test_a_hang_is_what_the_watchdog_says(tmp_path: Path) -> None:
    log(tmp_path, 0, 1, "OSError: [Errno 28] No space left on device")
    message = "no rank made progress for 1800 s: rank 0 waits in all_reduce; rank 1 is stopped (SIGSTOP)"
    found = of(tmp_path, 1, message=message)
    assert (found["failure"], found["cause"]) == ("hang", f"{message}.")


def test_slurms_own_words_are_evidence(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/job.log").write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n")
    assert of(tmp_path, message="rank 0 was ended by SIGKILL")["failure"] == "slurm-memory"
    assert of(tmp_path, message="Slurm ended job 7 on c1: its time limit was reached")["failure"] == "slurm-memory"
    (tmp_path / "logs/job.log").unlink()
    assert of(tmp_path, message="Slurm ended job 7 on c1: its time limit was reached")["failure"] == "slurm-time"


def test_a_loss_that_is_no_number_any_more_is_known_by_the_metrics(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, "AssertionError")
    losses(tmp_path, 3.5, 2.5, float("nan"), float("nan"))
    found = of(tmp_path, 0)
    assert found["failure"] == "nan"
    assert found["evidence"]["text"] == "metrics: loss is NaN at step 3 (2.5 at step 2)"


def test_numbers_that_are_too_large_to_reckon_with_are_passed_over(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, TRACEBACK, MEMORY)
    line = {"step": 1, "loss": 10**400, "memory_peak": 10**400, "memory_used": 10**400}
    metrics(tmp_path, [line] * 20)
    metrics(tmp_path, [line], "node-0")
    assert (of(tmp_path, 0)["failure"], of(tmp_path, 0)["figures"]) == ("device-memory", [])


def test_a_loss_that_rose_far_is_known_by_the_metrics(tmp_path: Path) -> None:
    losses(tmp_path, *[5.0 - 0.2 * n for n in range(15)], *[2.2 + 0.5 * n for n in range(15)])
    found = of(tmp_path)
    assert found["failure"] == "diverged"
    assert found["cause"].startswith("loss rose from 2.4 about step 14 to 8.2 at step 30")


def test_one_bad_batch_and_a_plateau_are_no_divergence(tmp_path: Path) -> None:
    losses(tmp_path, *[5.0 - 0.2 * n for n in range(15)], 9.0, *[2.5] * 10)
    assert of(tmp_path) == {"failure": None}
    losses(tmp_path, 2.0, 9.0)
    assert of(tmp_path) == {"failure": None}


def test_memory_failures_come_with_what_ranks_and_hosts_reported(tmp_path: Path) -> None:
    gib = 1 << 30
    log(tmp_path, 0, 1, TRACEBACK, MEMORY)
    report(tmp_path, 0, (1, 1), cpu={"memory": 64 * gib})
    metrics(tmp_path, [{"step": 9, "memory_peak": 70.5 * gib}], "rank-1")
    metrics(tmp_path, [{"memory_used": 12 * gib}, {"memory_used": 10 * gib}], "node-0")
    assert of(tmp_path, 1)["figures"] == [
        "most device memory that a rank reported: 70.5 GiB by rank 1 at step 9",
        "host memory in use on node 0: 12.0 GiB at most of 64.0 GiB that the job may use",
    ]


def test_a_run_that_its_user_ended_has_no_diagnosis(tmp_path: Path) -> None:
    log(tmp_path, 0, 0, TRACEBACK, "KeyboardInterrupt")
    assert of(tmp_path, 0, message="interrupted") == {}


def test_a_log_of_no_name_that_a_file_can_have_is_not_read(tmp_path: Path) -> None:
    report(tmp_path, 0)
    for name in ("x" * 5000, "a\0b", "\ud800"):
        assert run.of_run(tmp_path, {"status": "FAILED", "root_cause": {"rank": 0, "log": name}}) == {"failure": None}


def test_a_log_outside_of_the_run_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text(MEMORY)
    cause = {"rank": 0, "node_rank": 0, "exit_code": 1}
    for name in ("../secret", str(tmp_path / "secret")):
        found = run.of_run(tmp_path / "run", {"status": "FAILED", "root_cause": {**cause, "log": name}})
        assert found == {"failure": None}
