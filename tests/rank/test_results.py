"""Rows of results, as a rank writes them."""

import json
import math
from pathlib import Path

import pytest

from primus.launch.results import rows
from primus.rank.results import Results


def test_a_row_is_a_line_and_what_is_no_number_is_null(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.row("gemm", m=4, tflops=1.5)
    results.row("gemm", m=8, tflops=math.nan)
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["m"], line["tflops"]) for line in lines] == [("gemm", 4, 1.5), ("gemm", 8, None)]
    assert rows.read(tmp_path) == {"gemm": lines}


def test_progress_goes_to_the_metrics_of_the_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIMUS_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("PRIMUS_METRICS", str(tmp_path / "metrics/rank-0.jsonl"))
    Results().progress(3, 12)
    (line,) = (tmp_path / "metrics/rank-0.jsonl").read_text().splitlines()
    assert {name: value for name, value in json.loads(line).items() if name != "time"} == {"step": 3, "of": 12}
