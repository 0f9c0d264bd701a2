"""Which rank failed first, of a log that did not come from Primus."""

from primus.launch.diagnosis import matching, plain

MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB"
GONE = "RuntimeError: Connection reset by peer"
TRACEBACK = "Traceback (most recent call last):"


def first(*lines: str) -> tuple[int | None, str, str]:
    found = plain.read("x", "\n".join(lines).encode())
    match = matching.best(found.texts)[0]
    return found.rank, found.how, match.failure.name


def test_ranks_are_told_apart_by_torchs_own_prefix():
    lines = [f"[rank3]: {TRACEBACK}", f"[rank1]: {TRACEBACK}", f"[rank1]: {GONE}", f"[rank3]: {MEMORY}"]
    assert first(*lines) == (3, "its error comes first in the log", "device-memory")


def test_ranks_are_told_apart_by_the_tags_of_torchrun():
    lines = [f"[default2]:{TRACEBACK}", f"[default2]:{MEMORY}", f"[default0]:{TRACEBACK}", f"[default0]:{GONE}"]
    assert first(*lines)[::2] == (2, "device-memory")


def test_ranks_are_told_apart_by_the_labels_of_srun():
    lines = [f" 7: {TRACEBACK}", f" 7: {MEMORY}", f"11: {TRACEBACK}", f"11: {GONE}"]
    assert first(*lines)[::2] == (7, "device-memory")


def test_ranks_are_told_apart_by_the_tags_of_mpirun():
    lines = [f"[1,4]<stderr>:{TRACEBACK}", f"[1,4]<stderr>:{MEMORY}", f"[1,0]<stderr>:{TRACEBACK}"]
    assert first(*lines)[::2] == (4, "device-memory")


def test_ranks_are_told_apart_by_the_columns_of_primus():
    head = "2026-11-21T09:30:12.123 ERROR host"
    lines = [f"{head} r5 | [rank5]: {TRACEBACK}", f"{head} r5 | [rank5]: {MEMORY}", f"{head} r2 | {TRACEBACK}"]
    assert first(*lines)[::2] == (5, "device-memory")


def test_a_number_before_some_lines_is_no_rank():
    assert first("1: apples", "2: pears", *["words"] * 5, TRACEBACK, MEMORY)[::2] == (None, "device-memory")


def test_the_report_of_torchrun_decides():
    lines = [
        *(f"[rank0]: {TRACEBACK}", f"[rank0]: {GONE}", f"[rank2]: {TRACEBACK}", f"[rank2]: {MEMORY}"),
        *("Root Cause (first observed failure):", "[0]:", "  time      : 2026-11-21_09:30:12", "  host      : node7"),
        *("  rank      : 2 (local_rank: 2)", "  exitcode  : 1 (pid: 4711)"),
    ]
    found = plain.read("x", "\n".join(lines).encode())
    assert (found.rank, found.host, found.how) == (2, "node7", "as torchrun observed")
    assert matching.best(found.texts)[0].failure.name == "device-memory"


def test_a_cause_in_another_ranks_end_comes_before_what_the_first_only_noticed():
    lines = [f"[rank0]: {TRACEBACK}", f"[rank0]: {GONE}", f"[rank2]: {TRACEBACK}", f"[rank2]: {MEMORY}"]
    found = plain.read("x", "\n".join(lines).encode())
    best = matching.best(found.texts)[0]
    assert (found.rank, best.text.rank, best.failure.name, best.text.number(best.index)) == (0, 2, "device-memory", 4)


def test_the_rank_whose_watchdog_spoke_first_is_named():
    work = "WorkNCCL(SeqNum=9, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000)"
    waited = f"[E1121 09:12:44.4 ProcessGroupNCCL.cpp:690] Watchdog caught collective operation timeout: {work}"
    lines = ["[rank0]:[W1121 09:12:40.1 socket.cpp:1] x", f"[rank1]:{waited}", f"[rank0]:{waited}", "terminate called"]
    assert first(*lines) == (1, "its error comes first in the log", "collective-timeout")


def test_bytes_that_are_no_text_do_no_harm():
    found = plain.read("x", b"\xff\xfe\x00\n" + MEMORY.encode() + b"\xff\n")
    assert matching.best(found.texts)[0].failure.name == "device-memory"
