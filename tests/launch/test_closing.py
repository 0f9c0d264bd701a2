"""The last words of a job."""

from pathlib import Path
from typing import Any

import pytest

from primus.launch import closing
from primus.node import rundir

HEAD = "2026-11-21T09:30:12.123 INFO  host r1 | "


def log(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{HEAD}{line}\n" for line in lines))
    return path


def last_words(directory: Path, *lines: str) -> list[str]:
    log(directory / "log", *lines)
    return closing.last_words(directory, "log")


def test_a_traceback_is_shown_without_what_came_before_and_without_columns(tmp_path: Path) -> None:
    trace = ["Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: a | b"]
    assert last_words(tmp_path, "step 1", *trace) == trace


def test_of_several_tracebacks_the_last_is_shown(tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):", "A", "Traceback (most recent call last):", "B"]
    assert last_words(tmp_path, *lines) == lines[2:]


def test_without_a_traceback_the_last_lines_are_shown(tmp_path: Path) -> None:
    words = last_words(tmp_path, *(f"line {i}" for i in range(100)))
    assert words == [f"line {i}" for i in range(70, 100)]


def test_the_middle_of_a_long_traceback_is_left_out(tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):", *(f"  frame {i}" for i in range(200)), "ValueError: x"]
    words = last_words(tmp_path, *lines)
    assert len(words) == 30
    assert (words[0], words[3], words[-1]) == (lines[0], "...", lines[-1])


CAUGHT = ["Traceback (most recent call last):", '  File "x.py", line 1', "ZeroDivisionError: division by zero"]


def test_the_traceback_of_an_earlier_start_is_not_shown(tmp_path: Path) -> None:
    start = "--- start 2 of 2, after: rank 0 ended with exit code 1 before its first step ---"
    assert last_words(tmp_path, *CAUGHT, start, "step 1", "step 2") == ["step 1", "step 2"]


def test_a_traceback_that_was_caught_many_lines_ago_is_not_shown(tmp_path: Path) -> None:
    words = last_words(tmp_path, *CAUGHT, *(f"step {i}" for i in range(300)))
    assert words == [f"step {i}" for i in range(270, 300)]


def test_what_native_code_says_after_a_traceback_is_shown_with_it(tmp_path: Path) -> None:
    words = last_words(tmp_path, *CAUGHT, *(f"frame #{i}: c10::Error" for i in range(40)))
    assert (words[:3], words[-1]) == (CAUGHT, "frame #39: c10::Error")


def test_a_link_out_of_the_run_has_no_words(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/log").symlink_to(log(tmp_path / "mine", "private"))
    assert closing.last_words(tmp_path / "run", "log") == []


def test_a_log_that_is_not_there_has_no_words(tmp_path: Path) -> None:
    assert closing.last_words(tmp_path, "none") == []


def failure(tmp_path: Path, **result: Any) -> str:
    return closing.failure(tmp_path, {"status": "FAILED", **result})


def test_the_rank_that_failed_first_is_named_with_how_it_ended(tmp_path: Path) -> None:
    log(tmp_path / "logs/r", "oh no")
    cause = {"rank": 5, "node_rank": 2, "exit_code": 3, "signal": None, "log": "logs/r"}
    assert failure(tmp_path, root_cause=cause) == (
        "primus: rank 5 on node 2 failed first: it ended with exit code 3.\n"
        f"  oh no\nprimus: its whole log: {tmp_path}/logs/r"
    )
    assert "it was killed by SIGKILL." in failure(tmp_path, root_cause={**cause, "signal": "SIGKILL"})


def test_a_rank_that_held_up_the_others_is_named_with_what_each_was_in(tmp_path: Path) -> None:
    log(tmp_path / "logs/r", "  load (train.py:3)")
    why = "no rank made progress for 60 s: rank 0 on node 0 waits in all_reduce; rank 1 on node 0 is in load"
    cause = {
        "rank": 1,
        "node_rank": 0,
        "exit_code": 143,
        "signal": "SIGTERM",
        "log": "logs/r",
        "error": why,
        "hung": True,
    }
    assert failure(tmp_path, root_cause=cause).startswith(f"primus: rank 1 on node 0 holds up the job: {why}\n")


def test_the_host_what_it_most_likely_is_and_what_to_do_are_said_beside_it(tmp_path: Path) -> None:
    log(tmp_path / "logs/r", "oh no")
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/2.json").write_text('{"host": "c0n3"}')
    cause = {"rank": 5, "node_rank": 2, "exit_code": 1, "signal": None, "log": "logs/r"}
    evidence = {"text": "No space left", "log": "logs/r", "line": 7, "rank": 5, "node_rank": 2}
    diagnosis = {"failure": "disk-full", "title": "the disk is full", "cause": "A write failed.", "advice": ["df -h"]}
    said = failure(tmp_path, root_cause=cause, diagnosis={**diagnosis, "evidence": evidence})
    assert said.splitlines()[1:] == [
        "  oh no",
        "primus: most likely: the disk is full",
        "    > No space left",
        "      in logs/r:7",
        "    A write failed.",
        "  what to do:",
        "    - df -h",
        f"primus: its whole log: {tmp_path}/logs/r (of host c0n3)",
    ]


def test_a_rank_that_tells_more_than_the_first_is_named(tmp_path: Path) -> None:
    cause = {"rank": 0, "node_rank": 0, "exit_code": 1, "signal": None, "log": "logs/r"}
    evidence = {"text": "No space left", "log": "logs/s", "line": None, "rank": 5, "node_rank": 2}
    diagnosis = {"failure": "disk-full", "title": "the disk is full", "cause": "A write failed.", "evidence": evidence}
    said = failure(tmp_path, root_cause=cause, diagnosis=diagnosis)
    assert "primus: most likely: the disk is full (by rank 5 on node 2)" in said


@pytest.mark.parametrize(
    ("message", "said"), [("node 1 left no outcome", "node 1 left no outcome"), (None, "no rank said why")]
)
def test_without_a_rank_to_blame_what_is_known_is_said(tmp_path: Path, message: str | None, said: str) -> None:
    assert failure(tmp_path, root_cause=None, message=message) == f"primus: the job is failed: {said}"


def test_a_path_is_shown_as_it_would_be_typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert closing.short(tmp_path / "outputs/x") == "outputs/x"
    assert closing.short(Path("/elsewhere/x")) == "/elsewhere/x"


def test_how_to_complete_the_record_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert closing.incomplete(tmp_path / "a b").endswith("  primus task=record/sync run='a b'")
    rundir.write_json(tmp_path / "a b" / rundir.PLAN, {"config": {"tracking": {"uri": "http://me:pw@mlflow/?a=b"}}})
    said = closing.incomplete(tmp_path / "a b")
    assert said.endswith("  primus task=record/sync run='a b' tracking.uri='http://***@mlflow/?a=b'")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tracking.enabled=false"], "nothing recorded in MLflow (tracking.enabled=false)"),
        (["tracking.uri=http://me:pass@host:5000"], "http://***@host:5000"),
        (["tracking.uri=sqlite:////runs/x.db"], "mlflow ui --backend-store-uri sqlite:////runs/x.db"),
        (["output.root=/runs"], "mlflow ui --backend-store-uri sqlite:////runs/mlflow.db"),
    ],
)
def test_how_to_browse_can_be_typed(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from .test_planning import COMMAND, composed, reading

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert closing.browse(reading.request(*composed(*COMMAND, *words))) == said


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({}, "none reported"),
        ({"loss": 2.5}, "2.5000 at step 7"),
        ({"validation_loss": 2, "validation_perplexity": 7.4}, "2.0000 on held-out data (perplexity 7.40) at step 7"),
        ({"loss": 2.5, "validation_loss": 2.0}, "2.5000, 2.0000 on held-out data at step 7"),
    ],
)
def test_the_last_losses_are_said_with_their_step(metrics: dict[str, float], said: str) -> None:
    assert closing.reached({"step": 7, "metrics": metrics}) == said
