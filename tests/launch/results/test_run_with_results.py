"""A run that leaves results, from the command to table, CSV, report, MLflow and the comparison with a baseline.

`task=benchmark/io` needs no framework.
"""

import csv
import json
import re
import sqlite3
from pathlib import Path

import pytest

from ...conftest import PATIENT, Primus

IO = ("task=benchmark/io", "task.size=16K", "task.block=4K", "task.threads=1", "task.repeats=1")
OFF = ("tracking.enabled=false", "node.metrics_interval=0")


def runs(work: Path) -> list[Path]:
    return sorted((work / "outputs/default").iterdir())


def faster(run: Path, factor: float) -> None:
    """Make what a run measured `factor` times as much."""
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({**row, "bandwidth": factor * row["bandwidth"]}) + "\n" for row in rows)
    (run / "results.jsonl").write_text(text)


@pytest.mark.mlflow
def test_results_are_a_table_a_csv_a_report_and_metrics(primus: Primus, work: Path) -> None:
    said = primus(*IO, PATIENT)
    assert said.code == 0, said.err
    (run,) = runs(work)
    lines = said.out.splitlines()
    assert "Bandwidth of directories" in lines
    assert re.search(r"write +1 +0\.015625 +4 +[\d.e-]+", said.out)
    assert f"results outputs/default/{run.name}/results.csv" in lines
    assert not any(line.startswith("loss") for line in lines)
    with (run / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["operation"], row["size"]) for row in rows] == [
        ("io", "write", "0.015625"),
        ("io", "read", "0.015625"),
    ]
    report = (run / "report.html").read_text()
    assert "<h2>Bandwidth of directories</h2>" in report
    with sqlite3.connect(work / "outputs/mlflow.db") as store:
        metrics = dict(store.execute("select key, value from latest_metrics where key like 'io/%'"))
    label = f"-{str(work / 'outputs').strip('/').replace('/', '-')}_write_threads1_size0.015625_block4.0"
    named = [name for name in metrics if name.endswith("/bandwidth")]
    assert len(named) == 2
    if len(label) <= 80:  # a longer one ends in a number of its own
        assert metrics[f"io/{label}/bandwidth"] == pytest.approx(float(rows[0]["bandwidth"]))


def test_a_result_that_is_worse_than_the_baseline_fails_the_run_by_name(primus: Primus, work: Path) -> None:
    assert primus(*IO, *OFF).code == 0
    (first,) = runs(work)
    faster(first, 1000.0)
    said = primus(*IO, *OFF, f"baseline={first.name}")
    assert said.code == 1
    assert f"primus: the job is failed: 2 of 2 values are more than 5 % worse than in {first.name}: io " in said.err
    (second,) = (run for run in runs(work) if run != first)  # of the same second, it may be: names do not tell
    report = (second / "report.html").read_text()
    assert f"<h2>Against {first.name}</h2>" in report
    assert json.loads((second / "result.json").read_text())["status"] == "FAILED"
    faster(first, 1e-9)
    said = primus(*IO, *OFF, f"baseline={first}")
    assert (said.code, said.err) == (0, "")
    told = primus("task=status", f"run={second.name}")
    assert "Bandwidth of directories" in told.out
    assert "values are more than 5 % worse" in told.out


def test_data_that_cannot_be_written_are_left_out_and_that_is_said(primus: Primus, work: Path) -> None:
    said = primus(*IO, *OFF, "data.files=/sys/kernel/mm/transparent_hugepage/*")
    assert said.code == 0, said.err
    assert "WARNING /sys/kernel/mm/transparent_hugepage is left out: it cannot be written (" in said.out
    assert "outputs" in said.out


def test_a_run_that_is_asked_for_less_than_its_baseline_must_say_so(primus: Primus, work: Path) -> None:
    assert primus(*IO, *OFF, "task.threads=[1,2]").code == 0
    (first,) = runs(work)
    faster(first, 1e-9)
    less = (*IO, *OFF, f"baseline={first}")
    said = primus(*less)
    assert said.code == 1
    assert f"2 results of {first.name} are missing: io " in said.err
    said = primus(*less, "baseline_missing=warn")
    assert (said.code, said.err) == (0, "")
    assert f"WARNING 2 results of {first.name} are missing: io " in said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("baseline=nosuch",), "baseline=nosuch: not under outputs/, and a dry run opens no connection"),
        (("baseline=RUN", "task.threads=2"), "baseline=RUN: that is a run of task=command, not of task=benchmark/io"),
        (("baseline_threshold=5",), "baseline_threshold: 5.0 must be below 1: a share: 0.05 is 5 %  (command line"),
        (("task.block=3K",), "task.block: 3K must be a multiple of 4K"),
        (("task.size=0",), "task.size: '0' is no size: give bytes above 0, or 64K, 16M, 1G"),
        (("task.threads=0",), "task.threads: 0 must be numbers above 0"),
    ],
)
def test_what_cannot_be_measured_or_compared_is_said_before_the_start(
    primus: Primus, work: Path, words: tuple[str, ...], said: str
) -> None:
    name = ""
    if "baseline=RUN" in words:
        primus("task=command", "task.command=[echo]", *OFF)
        name = runs(work)[0].name
    ended = primus(*IO, *(word.replace("RUN", name) for word in words), "dry_run=true")
    assert ended.code == 2
    assert said.replace("RUN", name) in ended.err
