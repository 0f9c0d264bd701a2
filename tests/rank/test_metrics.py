"""The metrics file of a rank."""

import json
import math
from pathlib import Path

from primus.rank.metrics import MetricsFile


def test_each_step_is_one_json_line_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "rank-0.jsonl"
    metrics = MetricsFile(str(path))
    metrics.write(1, {"loss": 2.5, "tokens": 1024})
    metrics.write(2, {"loss": 2.25, "tokens": 2048})
    metrics.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["step"], first["loss"], first["tokens"]) == (1, 2.5, 1024)
    assert second["time"] >= first["time"] > 1e9


def test_lines_are_there_before_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    metrics = MetricsFile(str(path))
    metrics.write(1, {"loss": 1.0})
    assert path.read_text().endswith("\n")
    metrics.close()


def test_a_rank_that_goes_on_appends(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    for step in (1, 2):
        metrics = MetricsFile(str(path))
        metrics.write(step, {"loss": 1.0})
        metrics.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    metrics = MetricsFile(str(path))
    metrics.write(1, {"loss": 1.0, "grad_norm": math.nan, "lr": math.inf})
    metrics.close()
    assert set(json.loads(path.read_text())) == {"time", "step", "loss"}


def test_a_rank_without_metrics_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rank-1.jsonl"
    MetricsFile(str(path)).close()
    assert not path.exists()
