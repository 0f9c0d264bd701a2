"""Results against those of an earlier run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from primus.launch.results import Column, baseline, key
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
    assert found.missing == ()
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
            [row(64, None)],
            "1 result of earlier is missing: gemm bf16_m64: TFLOP/s, was 10.00 (baseline_missing=warn: that is meant)",
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


def wrong(node: str, name: str, level: str) -> dict[str, Any]:
    return {"kind": "finding", "node": node, "name": name, "level": level, "seen": f"{name} is odd"}


def test_what_the_baseline_alone_has_fails_the_run_unless_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / rundir.RESULTS).write_text(json.dumps(row(64, 9.9)) + "\n")
    then = before(row(64, 10.0), row(32, 10.0))
    rundir.write_json(tmp_path / rundir.BASELINE, baseline.as_data(then))
    assert baseline.verdict(tmp_path) == (
        "1 result of earlier is missing: gemm bf16_m32 (baseline_missing=warn: that is meant)"
    )
    assert baseline.warning(tmp_path) == ""
    rundir.write_json(tmp_path / rundir.BASELINE, baseline.as_data(replace(then, missing="warn")))
    assert baseline.verdict(tmp_path) is None
    assert baseline.warning(tmp_path) == "1 result of earlier is missing: gemm bf16_m32"


def test_a_rank_that_is_gone_is_missing_and_hosts_may_be_others() -> None:
    columns = {"gemm_rank": (key("host"), key("rank"), Column("tflops", "TFLOP/s", better="higher"))}
    kept = [{"kind": "gemm_rank", "host": "a", "rank": rank, "tflops": 1.0} for rank in range(3)]
    then = Baseline("earlier", "/runs/earlier", 0.05, columns, {"gemm_rank": kept})
    assert compare(then, {"gemm_rank": [{**one, "host": "b"} for one in kept[:2]]}).missing == ("gemm of rank 2",)


def test_a_finding_that_is_new_or_worse_is_named_by_what_was_seen_and_one_that_is_gone_is_none() -> None:
    columns = {
        "node": (key("node"),),
        "finding": (key("node"), key("name"), Column("level", "level"), Column("seen", "seen", trouble=True)),
    }
    old = [wrong("a", "governor", "warn"), wrong("a", "memory", "warn"), wrong("a", "mtu", "fail")]
    node = [{"kind": "node", "node": "a"}]
    then = Baseline("earlier", "/runs/earlier", 0.05, columns, {"node": node, "finding": old})
    now = [wrong("a", "pcie", "warn"), wrong("a", "memory", "fail"), wrong("a", "mtu", "warn")]
    found = compare(then, {"node": node, "finding": now})
    assert found.troubles == ("warn a pcie: pcie is odd", "fail a memory: memory is odd")
    assert found.missing == ()
    assert found.say_worse().startswith("2 findings that earlier has not: warn a pcie: pcie is odd; fail a memory")


def test_a_run_without_a_baseline_has_no_verdict(tmp_path: Path) -> None:
    assert baseline.verdict(tmp_path) is None
