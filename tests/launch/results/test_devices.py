"""Devices that were measured together, as tables and in the report."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from primus.launch.report.page import Charts
from primus.launch.results import devices, sections, table
from primus.launch.task.benchmark import gemm
from primus.node import rundir


def rows(*speeds: float) -> dict[str, list[dict[str, Any]]]:
    """Two products, the second twice as fast on every device."""
    of_each = [
        {
            "kind": "gemm_rank",
            "time": 1.0,
            "rank": rank,
            "host": f"n{rank // 2}",
            "dtype": "bf16",
            "m": m,
            "tflops": m * speed,
        }
        for m in (1, 2)
        for rank, speed in enumerate(speeds)
    ]
    of_all = [
        {"kind": "gemm", "time": 1.0, "dtype": "bf16", "m": m, "tflops": 4.0, "slowest": "1 on n0"} for m in (1, 2)
    ]
    return {"gemm": of_all, "gemm_rank": of_each}


def test_each_device_is_compared_with_the_median_of_all_case_by_case() -> None:
    every = gemm.COLUMNS["gemm"]
    found = devices.shares(rows(4.0, 3.0, 4.0)["gemm_rank"], every, "tflops")
    assert found == pytest.approx({"rank 0 on n0": 100.0, "rank 1 on n0": 75.0, "rank 2 on n1": 100.0})


def test_the_report_draws_the_slowest_devices_first() -> None:
    found = sections.of_run("benchmark/gemm", rows(4.0, 3.0, 4.0), None)
    drawn = next(section for section in found if isinstance(section, Charts) and section.title == "By device")
    assert drawn.charts[0].traces[0]["customdata"][0] == "rank 1 on n0"
    assert [*drawn.charts[0].traces[0]["text"]] == ["75.0 %", "100.0 %", "100.0 %"]
    assert not devices.page({"gemm": []}, "gemm", gemm.COLUMNS["gemm"], "tflops")


@pytest.mark.parametrize(
    ("count", "said"), [(2, "n0       1  bf16   2    8.000"), (9, "each device: 18 rows in results.csv")]
)
def test_the_rows_of_many_devices_are_in_the_csv_alone(tmp_path: Path, count: int, said: str) -> None:
    rundir.write_json(tmp_path / rundir.PLAN, {"task": "benchmark/gemm"})
    every = [row for of_kind in rows(*[4.0] * count).values() for row in of_kind]
    (tmp_path / rundir.RESULTS).write_text("".join(json.dumps(row) + "\n" for row in every))
    file = io.StringIO()
    table.show(tmp_path, Console(file=file, width=120, highlight=False))
    assert said in file.getvalue()
    assert "1 on n0" in file.getvalue()
