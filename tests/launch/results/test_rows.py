"""Rows of results and their names."""

from pathlib import Path

from primus.launch.record.content import legal
from primus.launch.results import Column, key, rows

from .columns import PRODUCTS, row


def test_rows_are_read_by_kind_and_broken_lines_passed_over(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(
        '{"kind": "a", "time": 1, "x": 1}\nbroken\n{"time": 2}\n{"kind": "b", "time": 3}\n{"kind": "a", "time": 4}\n{"k'
    )
    found = rows.read(tmp_path)
    assert {kind: [one["time"] for one in every] for kind, every in found.items()} == {"a": [1, 4], "b": [3]}
    assert rows.read(tmp_path / "nowhere") == {}


def test_a_metric_is_named_by_kind_parameters_and_column() -> None:
    assert rows.metrics(row(64, 1.5, 2.0, clock=None), PRODUCTS) == {
        "gemm/bf16_m64/tflops": 1.5,
        "gemm/bf16_m64/time_p50": 2.0,
    }


def test_a_label_is_legal_and_short_and_two_long_ones_differ() -> None:
    columns = [key("directory"), key("pinned")]
    label = rows.label({"directory": "/data/näme with spaces", "pinned": True}, columns)
    assert label == "-data-n-me-with-spaces_pinnedTrue"
    long = [rows.label({"directory": "x" * 200 + end}, columns) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(one) <= 80 and legal(f"kind/{one}/column") == f"kind/{one}/column" for one in [label, *long])
    assert rows.label({}, columns) == "all"


def test_a_steady_column_of_one_value_is_told_once_and_of_one_row_or_several_values_is_a_column() -> None:
    columns = [key("batch", steady=True), key("m"), key("size", "array", "MiB", steady=True)]
    found = [{"batch": 1, "m": 8, "size": 64}, {"batch": 1, "m": 8, "size": 64}]
    once = rows.steady(found, columns)
    assert rows.told_once(found[0], once) == "batch 1, array 64 MiB"
    assert rows.steady(found[:1], columns) == []
    assert rows.steady([*found, {"batch": 2, "m": 8, "size": None}], columns) == []


def test_of_a_parameter_nothing_is_rounded_away() -> None:
    size = key("size", "array", "MiB")
    assert [size.say(value) for value in (1.5, 64.0, 4096.0, 0.00390625, 1)] == [
        "1.5",
        "64",
        "4,096",
        "0.00390625",
        "1",
    ]


def test_a_column_says_small_values_by_their_digits() -> None:
    column = Column("tflops", "TFLOP/s", digits=2)
    assert [column.say(v) for v in (1234.5, 0.0, 0.00123, None, True, "text")] == [
        *("1,234.50", "0.00", "0.0012", "", "yes", "text")
    ]
