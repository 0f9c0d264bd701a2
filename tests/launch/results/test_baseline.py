"""Results against those of an earlier run."""

import json
from pathlib import Path
from typing import Any

import pytest

from primus.launch.results import baseline
from primus.launch.results.baseline import Baseline, compare
from primus.node import rundir

from .columns import PRODUCTS, row


def before(*rows: dict[str, Any], threshold: float = 0.05) -> Baseline:
    return Baseline("earlier", "/runs/earlier", threshold, {"gemm": PRODUCTS}, {"gemm": rows})


def test_each_direction_knows_what_is_worse() -> None:
    found = compare(before(row(64, 10.0, 100.0)), {"gemm": [row(64, 9.0, 80.0)]})
    assert [(c.column.name, round(c.gain, 3), c.worse) for c in found.changes] == [
        ("tflops", -0.1, True),
        ("time_p50", 0.2, False),
    ]


def test_a_change_up_to_the_threshold_is_none() -> None:
    assert not compare(before(row(64, 100.0)), {"gemm": [row(64, 95.0)]}).worse
    assert compare(before(row(64, 100.0)), {"gemm": [row(64, 94.9)]}).worse
    assert not compare(before(row(64, 100.0), threshold=0.1), {"gemm": [row(64, 91.0)]}).worse


def test_rows_are_compared_by_their_parameters_and_the_last_of_equal_ones_counts() -> None:
    now = [row(128, 1.0), row(64, 1.0), row(64, 10.0)]
    found = compare(before(row(64, 10.0), row(32, 5.0)), {"gemm": now})
    assert (found.matched, found.worse, found.missing) == (1, (), ("gemm bf16_m32",))


def test_what_was_not_measured_is_not_compared_and_from_nothing_everything_is_better() -> None:
    found = compare(before(row(64, None), row(32, 0.0)), {"gemm": [row(64, 1.0), row(32, 1.0)]})
    assert [(c.label, c.gain) for c in found.changes if c.column.name == "tflops"] == [("bf16_m32", float("inf"))]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([row(64, 9.9)], None),
        (
            [row(64, 5.0)],
            "1 of 1 values are more than 5 % worse than in earlier:"
            " gemm bf16_m64: TFLOP/s 5.00, was 10.00 (50.0 % worse)",
        ),
        (
            [row(65, 10.0)],
            "no result can be compared with the baseline earlier: it has none of the same parameters",
        ),
    ],
)
def test_the_verdict_is_read_from_the_run_directory_alone(
    tmp_path: Path, now: list[dict[str, Any]], said: str | None
) -> None:
    rundir.write_json(tmp_path / rundir.BASELINE, baseline.as_data(before(row(64, 10.0))))
    (tmp_path / rundir.RESULTS).write_text("".join(json.dumps(one) + "\n" for one in now))
    assert baseline.verdict(tmp_path) == said


def test_a_run_without_a_baseline_has_no_verdict(tmp_path: Path) -> None:
    assert baseline.verdict(tmp_path) is None
