"""`task=report/compare`: any runs beside each other."""

from pathlib import Path

import pytest

from ....conftest import Primus, everything
from ...report.runs import recorded


@pytest.fixture
def two(work: Path) -> list[Path]:
    """Two runs under the output root."""
    return [
        recorded(work / "outputs" / "exp" / name, overrides=(f"backend={name}",), backend=name)
        for name in ("torchtitan", "megatron")
    ]


def test_runs_are_compared_by_directory_or_id(two: list[Path], primus: Primus, work: Path) -> None:
    said = primus("task=report/compare", f"runs=[{two[0]},megatron]", "to=new/folder/page.html")
    assert (said.code, said.out, said.err) == (0, "report  new/folder/page.html  (runs: 2)\n", "")
    text = (work / "new/folder/page.html").read_text()
    assert "<title>page</title>" in text
    assert "2 runs · differing in backend" in text


def test_a_sweep_stands_for_its_jobs(primus: Primus, work: Path) -> None:
    jobs = [{"index": n, "overrides": [f"task.steps={n + 1}"]} for n in range(2)]
    from primus.node import rundir

    sweep = work / "outputs" / "exp" / "sweep"
    for n in range(2):
        recorded(sweep / str(n), overrides=(f"task.steps={n + 1}",), sweep="sweep")
    rundir.write_json(sweep / "sweep.json", {"id": "sweep", "experiment": "exp", "jobs": jobs, "status": "FINISHED"})
    assert primus("task=report/compare", f"runs=[{sweep}]", "to=page.html").code == 0
    assert "sweep/0" in (work / "page.html").read_text()


def test_a_dry_run_says_what_would_be_compared_and_writes_nothing(two: list[Path], primus: Primus, work: Path) -> None:
    before = everything(work)
    said = primus("task=report/compare", f"runs=[{two[0]},{two[1]}]", "to=page.html", "dry_run=true")
    assert said.out == f"compare in {work}/page.html\n{two[0]}\n{two[1]}\n"
    assert everything(work) == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["to=page.html"], "task=report/compare needs runs: runs=[<run directory or id>,<another>,...]"),
        (["runs=[torchtitan,megatron]"], "task=report/compare needs a file to write: to=FILE.html"),
        (["runs=[torchtitan,megatron]", "to=x.txt"], "task=report/compare needs a file to write: to=FILE.html"),
        (["runs=[no/such,megatron]", "to=page.html"], "runs=no/such: there is no such run directory or file."),
    ],
)
def test_what_is_missing_is_named(words: list[str], complaint: str, two: list[Path], primus: Primus) -> None:
    said = primus("task=report/compare", *words)
    assert (said.code, said.err) == (2, f"primus: {complaint}\n")
