"""Real logs of failures, made here, and composed ones of failures that need a GPU: each is what it is.

Each log says in its head what it is, and where it was made, or from which text of which library it was composed. The
words of AMD's and NVIDIA's libraries were compared with those in the threads that are named; none is a copy of them.
"""

from pathlib import Path

import pytest

from primus.launch.diagnosis import matching, plain
from primus.launch.diagnosis.run import described
from primus.launch.diagnosis.table import failures
from primus.launch.diagnosis.text import tail

from . import test_run

LOGS = sorted((Path(__file__).parent / "logs").glob("*.log"))


def content(path: Path) -> tuple[str, bytes]:
    """What it is, and the log without its head."""
    lines = path.read_bytes().splitlines(keepends=True)
    head = [line for line in lines if line.startswith(b"## ")]
    assert head[1].startswith((b"## made here: ", b"## composed from: "))
    return head[0].decode().removeprefix("## failure: ").strip(), b"".join(lines[len(head) :])


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_log_of_another_launcher_is_what_it_is(path: Path):
    failure, log = content(path)
    found = described(None, matching.best(plain.read(path.name, log).texts))
    assert found["failure"] == failure
    assert found["evidence"]["line"]
    assert "?" not in found["cause"]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_so_is_the_same_log_of_a_rank_of_primus(path: Path, tmp_path: Path):
    failure, log = content(path)
    head = b"2026-11-21T09:30:12.123 ERROR host r3 | "
    (tmp_path / "rank-3.log").write_bytes(b"".join(head + line for line in log.splitlines(keepends=True)))
    found = matching.best([tail(tmp_path / "rank-3.log", 1 << 20, True, "rank-3.log", 3, 0)])
    assert found[0].failure.name == failure


def test_every_failure_of_the_table_has_a_log():
    elsewhere = {"diverged": test_run.test_a_loss_that_rose_far_is_known_by_the_metrics}  # no log tells of it
    assert {content(path)[0] for path in LOGS} | set(elsewhere) == {failure.name for failure in failures()}


def test_memory_numbers_are_those_of_the_message():
    for name, numbers in (
        ("cuda-out-of-memory", "of 2.50 GiB did not fit: GPU 3 has 139.80 GiB, of which 1.12 GiB were free."),
        ("hip-out-of-memory", "of 7.83 GiB did not fit: GPU 0 has 191.98 GiB, of which 5.40 GiB were free."),
    ):
        _, log = content(Path(__file__).parent / f"logs/{name}.log")
        found = described(None, matching.best(plain.read(name, log).texts))
        assert found["cause"] == f"An allocation {numbers}"


def test_a_log_that_says_nothing_known_is_said_to_be_unknown():
    found = plain.read("x", b"Traceback (most recent call last):\nValueError: the moon is full\n")
    assert described(None, matching.best(found.texts)) == {"failure": None}
    assert described(None, matching.best(plain.read("x", b"").texts)) == {"failure": None}


def test_what_was_caught_before_is_not_the_cause():
    log = (
        b"Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB\n"
        b"retrying with a smaller batch\nTraceback (most recent call last):\nModuleNotFoundError: No module named 'x'\n"
    )
    assert [m.failure.name for m in matching.best(plain.read("x", log).texts)] == ["import", "device-memory"]


def test_what_a_program_warned_of_and_lived_on_is_not_the_cause():
    warned = b"WARNING: No module named 'apex'\n" + b"step\n" * 100
    log = warned + b"Fatal Python error: Segmentation fault\n"
    assert [m.failure.name for m in matching.best(plain.read("x", log).texts)] == ["crash"]
    caught = b"Traceback (most recent call last):\nModuleNotFoundError: No module named 'apex'\n" + b"step\n" * 2000
    assert [m.failure.name for m in matching.best(plain.read("x", caught + b"Killed\n").texts)] == ["killed"]


def test_a_loss_that_was_skipped_is_not_the_cause():
    assert not matching.best(plain.read("x", b"Found NaN loss, skip backward\nstep 7\n").texts)


def test_the_traceback_of_torchrun_itself_is_not_the_ranks():
    launcher = b"Traceback (most recent call last):\n" + b'  File "run.py", line 9, in main\n    run(args)\n' * 20
    log = (
        b"Traceback (most recent call last):\nModuleNotFoundError: No module named 'x'\n"
        + launcher
        + b"torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    )
    assert matching.best(plain.read("x", log).texts)[0].failure.name == "import"


def test_what_ended_an_earlier_start_is_not_the_cause():
    log = (
        b"Traceback (most recent call last):\nRuntimeError: CUDA out of memory. Tried to allocate 1.00 GiB\n"
        b"--- start 2 of 4, after: rank 0 ended with exit code 1 ---\nstep 12\n"
    )
    assert not matching.best(plain.read("x", log).texts)


def test_the_first_of_chained_tracebacks_counts():
    log = (
        b"Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n\n"
        b"During handling of the above exception, another exception occurred:\n\n"
        b"Traceback (most recent call last):\nModuleNotFoundError: No module named 'x'\n"
    )
    assert matching.best(plain.read("x", log).texts)[0].failure.name == "disk-full"
    assert not plain.read("x", log).texts[0].end


def test_source_code_in_a_traceback_is_no_evidence():
    log = (
        b"Traceback (most recent call last):\n"
        b'  File "a.py", line 3, in f\n    raise RuntimeError("CUDA out of memory. Tried to allocate")\n'
        b"RuntimeError: the moon is full\n"
    )
    assert not matching.best(plain.read("x", log).texts)


def test_a_line_of_a_megabyte_takes_no_time_to_speak_of():
    assert not matching.best(plain.read("x", b"a" * (1 << 20) + b"\n" + b"/ " * (1 << 19)).texts)
