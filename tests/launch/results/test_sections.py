"""Results in a report."""

from primus.launch.report.page import Table
from primus.launch.results import sections


def test_what_all_rows_have_alike_is_a_note() -> None:
    same = {"kind": "gemm", "dtype": "bf16", "batch": 1, "transpose": "nt"}
    rows = {"gemm": [{**same, "m": 8, "tflops": 1.0}, {**same, "m": 16, "tflops": 2.0}]}
    (table,) = [one for one in sections.of_run("benchmark/gemm", rows, None) if isinstance(one, Table)]
    assert (list(table.head), table.note) == (["dtype", "m", "TFLOP/s"], "All rows: batch 1, transpose nt.")


def test_columns_of_words_and_of_yes_and_no_stand_left_and_numbers_right() -> None:
    rows = {"memory": [{"kind": "memory", "operation": "copy", "pinned": True, "size": 64.0, "bandwidth": 3640.9}]}
    (table,) = [one for one in sections.of_run("benchmark/memory", rows, None) if isinstance(one, Table)]
    assert [(head, n in table.left) for n, head in enumerate(table.head)] == [
        ("operation", True), ("pinned", True), ("array (MiB)", False), ("GB/s", False),
    ]  # fmt: skip
