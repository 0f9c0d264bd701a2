"""What several devices come to. How their ranks measure together is in test_workers.py."""

from typing import Any

import pytest

from primus.rank.benchmark.devices import in_all, summary


def row(tflops: float, **others: Any) -> dict[str, Any]:
    return {"m": 8, "dtype": "bf16", "tflops": tflops, "peak_share": None, "cached": False, **others}


def test_the_row_of_all_has_medians_and_names_the_slowest() -> None:
    rows = {0: row(10.0), 1: row(12.0, cached=True), 3: row(6.0, peak_share=50.0)}
    assert summary(rows, ["a", "a", "b", "b"], "tflops") == {
        "m": 8,
        "dtype": "bf16",
        "tflops": 10.0,
        "peak_share": 50.0,
        "cached": True,
        "devices": 3,
        "total": 28.0,
        "least": 6.0,
        "slowest": "3 on b",
        "spread": pytest.approx(60.0),
    }


def test_what_differs_and_is_no_number_is_told_as_it_is() -> None:
    rows = {0: row(1.0, kernel="flash"), 1: row(1.0, kernel="cudnn")}
    assert summary(rows, ["a", "b"], "tflops")["kernel"] == "cudnn, flash"


def test_only_what_every_rank_can_is_measured() -> None:
    assert in_all([["c", "a", "b"], ["a", "b", "c", "d"], ["b", "c"]]) == ["c", "b"]
