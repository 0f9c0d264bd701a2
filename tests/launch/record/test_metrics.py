"""What is new in metric files, in batches."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from primus.launch.record import metrics
from primus.launch.record.state import Record
from primus.launch.record.store import METRICS_PER_CALL
from primus.launch.results import Column, key
from primus.node import rundir

from .run_directories import START, append, write_host_metrics, write_metrics


def new(directory: Path, record: Record | None = None, nodes: int = 1, **more: Any) -> list[metrics.Batch]:
    return list(metrics.new(directory, record or Record(), nodes, **more))


def names(batches: list[metrics.Batch]) -> set[str]:
    return {metric.name for batch in batches for metric in batch.metrics}


def test_metrics_keep_their_own_time_and_step(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(3, 4))
    (batch,) = new(tmp_path)
    loss = next(m for m in batch.metrics if m.name == "loss")
    assert (loss.value, loss.time, loss.step) == (4.0 - 3 / 1000, START + 1.5, 3)


def test_rank_0_has_plain_names_and_the_others_their_rank(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(2), rank=0)
    write_metrics(tmp_path, range(2), rank=11)
    assert names(new(tmp_path)) == {"loss", "lr", "rank11/loss", "rank11/lr"}


def test_the_rank_that_reports_the_loss_has_plain_names_and_keeps_them(tmp_path: Path) -> None:
    append(tmp_path / rundir.rank_metrics(0), json.dumps({"time": START, "step": 0, "memory_peak": 5}) + "\n")
    write_metrics(tmp_path, range(1), rank=3)
    batches = new(tmp_path)
    assert names(batches) == {"loss", "lr", "rank0/memory_peak"}
    write_metrics(tmp_path, range(1, 2), rank=0)
    assert names(new(tmp_path, batches[-1].after)) == {"rank0/loss", "rank0/lr"}


def test_losses_wait_for_the_first_line_of_the_ranks_below(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(2), rank=1)
    write_metrics(tmp_path, range(2), rank=2)
    first = new(tmp_path, waits=lambda: True)
    assert names(first) == {"rank2/loss", "rank2/lr"}
    write_metrics(tmp_path, range(2), rank=0)
    then = new(tmp_path, first[-1].after, waits=lambda: True)
    assert names(then) == {"loss", "lr", "rank1/loss", "rank1/lr"}
    assert sum(len(batch.metrics) for batch in (*first, *then)) == 3 * 2 * 2


def test_ranks_below_that_write_no_losses_are_waited_for_no_longer(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(2), rank=1)
    assert new(tmp_path, waits=lambda: True) == []
    append(tmp_path / rundir.rank_metrics(0), json.dumps({"time": START, "step": 0, "memory_peak": 5}) + "\n")
    assert names(new(tmp_path, waits=lambda: True)) == {"loss", "lr", "rank0/memory_peak"}


def test_ranks_below_that_write_nothing_are_not_waited_for_without_end(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(2), rank=1)
    assert new(tmp_path, waits=lambda: True) == []
    assert names(new(tmp_path, waits=lambda: False)) == names(new(tmp_path, over=True)) == {"loss", "lr"}


def test_of_a_run_that_is_over_it_is_the_rank_whose_loss_the_result_has(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(300), rank=1)
    lines = "".join(json.dumps({"time": START, "step": n, "note": "x" * 500}) + "\n" for n in range(3000))
    append(tmp_path / rundir.rank_metrics(0), lines)
    write_metrics(tmp_path, range(1), rank=0)
    batches = new(tmp_path, over=True)
    assert names(batches) == {"loss", "lr", "rank1/loss", "rank1/lr"}
    assert batches[-1].after.loss_rank == 0


def test_a_step_that_was_written_as_a_float_is_that_step(tmp_path: Path) -> None:
    append(tmp_path / rundir.rank_metrics(0), json.dumps({"time": START, "step": 100.0, "loss": 2.0}) + "\n")
    (batch,) = new(tmp_path)
    assert [(m.name, m.step) for m in batch.metrics] == [("loss", 100)]


def test_the_load_of_hosts_is_told_apart_where_there_are_several(tmp_path: Path) -> None:
    write_host_metrics(tmp_path, 3)
    (batch,) = new(tmp_path)
    assert names([batch]) == {"system/cpu_percent", "system/memory_used"}
    assert [m.step for m in batch.metrics if m.name == "system/cpu_percent"] == [0, 1, 2]
    write_host_metrics(tmp_path, 1, node=12)
    assert {"system/node0/cpu_percent", "system/node12/cpu_percent"} < names(new(tmp_path, nodes=2))


def test_batches_fit_in_one_call_and_resume_without_loss_or_repetition(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(1800))
    write_metrics(tmp_path, range(700), rank=1)
    whole = new(tmp_path)
    assert all(len(batch.metrics) <= METRICS_PER_CALL for batch in whole)
    every = [m for batch in whole for m in batch.metrics]
    assert len(every) == len(set(every)) == 2 * (1800 + 700)
    for stop in range(len(whole)):
        rest = new(tmp_path, whole[stop].after)
        assert [m for batch in [*whole[: stop + 1], *rest] for m in batch.metrics] == every


def test_what_could_not_be_recorded_is_said(tmp_path: Path) -> None:
    write_metrics(tmp_path, range(2))
    append(tmp_path / rundir.rank_metrics(0), 'Killed\n{"time": 3, "lo')
    after = new(tmp_path)[-1].after
    assert metrics.left_out(tmp_path, after) == [
        "1 lines of metrics are broken: no JSON objects with a time",
        "metrics/rank-0.jsonl: its last line was cut off",
    ]
    assert metrics.left_out(tmp_path, replace(after, offsets={**after.offsets, "metrics/rank-0.jsonl": 10**6}))


def test_a_whole_last_line_without_its_newline_is_recorded_once_the_run_is_over(tmp_path: Path) -> None:
    append(tmp_path / rundir.rank_metrics(0), json.dumps({"time": START, "step": 9, "loss": 0.5}))
    assert new(tmp_path) == []
    (batch,) = new(tmp_path, over=True)
    assert [(m.name, m.step, m.value) for m in batch.metrics] == [("loss", 9, 0.5)]
    assert metrics.left_out(tmp_path, batch.after) == []


def test_results_are_metrics_by_what_their_columns_say(tmp_path: Path) -> None:
    columns = {"gemm": (key("dtype"), Column("tflops", "TFLOP/s"))}
    lines = [{"kind": "gemm", "time": START, "dtype": "bf16", "tflops": 700.0}, {"kind": "unknown", "time": START}]
    append(tmp_path / rundir.RESULTS, "".join(json.dumps(line) + "\n" for line in lines))
    append(tmp_path / rundir.rank_metrics(0), json.dumps({"time": START, "step": 1, "of": 2}) + "\n")
    (batch,) = metrics.new(tmp_path, Record(), 1, columns)
    assert [(m.name, m.value, m.step) for m in batch.metrics] == [("gemm/bf16/tflops", 700.0, 0)]
    assert list(metrics.new(tmp_path, batch.after, 1, columns)) == []
