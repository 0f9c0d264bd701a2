"""Results of several runs beside each other."""

from typing import Any

from plotly.graph_objects import Figure

from primus.launch.report.differences import Differences
from primus.launch.report.page import Charts, Table
from primus.launch.results import beside


def gemm(m: int, dtype: str, tflops: float) -> dict[str, Any]:
    return {"kind": "gemm", "dtype": dtype, "m": m, "n": m, "k": m, "tflops": tflops}


def found(*runs: list[dict[str, Any]], key: str, values: tuple[str, ...]) -> tuple[Charts, Table]:
    names = tuple(f"{key}={value}" for value in values)
    differences = Differences((key,), tuple((value,) for value in values), names, ())
    charts, table = beside.sections([("benchmark/gemm", {"gemm": of_run}) for of_run in runs], differences)
    assert isinstance(charts, Charts)
    assert isinstance(table, Table)
    for chart in charts.charts:
        Figure(data=list(chart.traces), layout=chart.layout)
    return charts, table


def test_rows_of_the_same_parameters_stand_together_with_the_best_marked() -> None:
    titan, other = [gemm(64, "bf16", 2.0), gemm(64, "fp32", 1.0)], [gemm(64, "bf16", 3.0), gemm(64, "fp32", 0.5)]
    charts, table = found(titan, other, key="backend", values=("torchtitan", "maxtext"))
    at = table.head.index("TFLOP/s")
    assert [(row[0].text, row[1].text, row[at].text, row[at].kind) for row in table.rows] == [
        ("backend=torchtitan", "bf16", "2.000", ""),
        ("backend=maxtext", "bf16", "3.000", "best"),
        ("backend=torchtitan", "fp32", "1.000", "best"),
        ("backend=maxtext", "fp32", "0.500", ""),
    ]
    (chart,) = charts.charts
    assert chart.traces[0]["customdata"] == [
        *("backend=torchtitan bf16", "backend=maxtext bf16"),
        *("backend=torchtitan fp32", "backend=maxtext fp32"),
    ]


def test_over_a_swept_number_each_kind_of_row_is_a_line() -> None:
    runs = [[gemm(m, dtype, m * factor) for dtype, factor in (("bf16", 2.0), ("fp32", 1.0))] for m in (128, 64)]
    charts, _ = found(*runs, key="task.m", values=("128", "64"))
    (chart,) = charts.charts
    assert chart.title == "Matrix products against task.m"
    assert [(trace["name"], trace["x"], trace["y"]) for trace in chart.traces] == [
        ("bf16", [64.0, 128.0], [128.0, 256.0]),
        ("fp32", [64.0, 128.0], [64.0, 128.0]),
    ]


def test_runs_without_results_have_nothing_to_show() -> None:
    differences = Differences((), ((), ()), ("a", "b"), ())
    assert beside.sections([("train/pretrain", {}), ("benchmark/gemm", {})], differences) == []


def test_rows_that_are_neither_better_nor_worse_and_those_of_single_devices_are_left_out() -> None:
    differences = Differences((), ((),), ("a",), ())
    by_rank = {**gemm(64, "bf16", 2.0), "kind": "gemm_rank", "rank": 0, "host": "n"}
    finding = {"kind": "finding", "level": "warn", "node": "n"}
    runs = [("benchmark/gemm", {"gemm_rank": [by_rank]}), ("preflight", {"finding": [finding]})]
    assert beside.sections(runs, differences) == []
