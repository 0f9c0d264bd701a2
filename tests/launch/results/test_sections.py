"""Results in a report."""

from primus.launch.report.page import Charts, Table
from primus.launch.results import sections, task
from primus.launch.results.baseline import Baseline


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


def test_bars_of_the_comparison_are_named_by_what_tells_their_rows_apart() -> None:
    same = {"kind": "attention", "kernel": "efficient", "direction": "backward", "dtype": "bf16", "batch": 1}
    rows = {"attention": [{**same, "sequence": n, "heads": 32, "tflops": 9.0} for n in (1024, 2048)]}
    then = Baseline("earlier", "/runs/earlier", 0.05, task.columns("benchmark/attention"), rows)
    (charts,) = [
        one
        for one in sections.of_run("benchmark/attention", rows, then)
        if isinstance(one, Charts) and one.title == "Comparison"
    ]
    assert charts.charts[0].layout["yaxis"]["ticktext"] == ["sequence1024 TFLOP/s", "sequence2048 TFLOP/s"]
