"""The recent runs in a table."""

import json
from pathlib import Path

from ...conftest import Primus, Rank

OFF = "tracking.enabled=false"


def test_the_newest_run_comes_first_and_a_sweep_is_one_row(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank(""), OFF)
    primus(*rank("raise SystemExit(3)"), OFF, "experiment.name=other")
    primus("-m", *rank("pass"), OFF, "env.set.A=1,2")
    said = primus("task=runs")
    head, *rows = (line.split() for line in said.out.splitlines())
    assert (said.code, said.err) == (0, "")
    assert head == ["run", "task", "state", "step", "loss", "age", "took", "where"]
    assert {row[0].split("/")[0] for row in rows} == {"default", "other"}
    assert sorted(word for row in rows for word in row if word in ("finished", "failed")) == [
        *("failed", "finished", "finished")
    ]
    assert "(2 jobs: 2 finished)" in said.out


def test_as_many_are_shown_as_were_asked_for_and_as_json(primus: Primus, rank: Rank, work: Path) -> None:
    for _ in range(3):
        primus(*rank(""), OFF)
    told = json.loads(primus("task=runs", "task.limit=2", "task.format=json").out)
    names = sorted((run.name for run in (work / "outputs/default").iterdir()), reverse=True)
    assert [run["run"] for run in told] == names[:2]


def test_where_there_is_none_that_is_said(primus: Primus) -> None:
    said = primus("task=runs")
    assert (said.code, said.out) == (0, "no runs under outputs/\n")
