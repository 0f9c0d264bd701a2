"""report.html in a run directory, once the run is over."""

import os
import subprocess
import sys
from pathlib import Path

from primus.launch.report import writing
from primus.node import rundir

from ...conftest import PATIENCE
from ..record.run_directories import append
from .runs import recorded


def log(directory: Path) -> str:
    return (directory / rundir.LAUNCH_LOG).read_text()


def sweep(directory: Path, jobs: int = 3, status: str = "FINISHED") -> Path:
    """A sweep whose last job was never started."""
    overrides = [[f"task.lr={n + 1}"] for n in range(jobs)]
    for n in range(jobs - 1):
        recorded(directory / str(n), overrides=tuple(overrides[n]), sweep=directory.name)
    listed = [{"index": n, "overrides": overrides[n]} for n in range(jobs)]
    rundir.write_json(
        directory / "sweep.json", {"id": directory.name, "experiment": "exp", "jobs": listed, "status": status}
    )
    return directory


def test_a_run_gets_its_report(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run")
    writing.of_run(directory)
    text = (directory / rundir.REPORT).read_text()
    assert "<title>exp run</title>" in text
    assert 'class="status finished"' in text


def test_a_sweep_gets_a_comparison_of_the_jobs_that_started(tmp_path: Path) -> None:
    directory = sweep(tmp_path / "exp" / "sweep")
    writing.of_sweep(directory)
    assert "2 runs, 1 never started · differing in task.lr" in (directory / rundir.REPORT).read_text()


def test_a_report_is_written_again_only_when_the_run_has_ended_again(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run")
    writing.of_run(directory)
    (directory / rundir.REPORT).write_text("mine")
    writing.of_run(directory)
    assert (directory / rundir.REPORT).read_text() == "mine"
    ended = (directory / rundir.REPORT).stat().st_mtime + 10
    os.utime(directory / rundir.RESULT, (ended, ended))
    writing.of_run(directory)
    assert "<title>exp run</title>" in (directory / rundir.REPORT).read_text()


def test_odd_metrics_cost_what_they_say_and_no_more(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run", steps=3)
    odd = '{"time": 1, "step": 9, "a\\"<b>": 1}\nnot json\n{"time": 2, "step": 2, "loss": NaN}\n{"time": 3'
    append(directory / rundir.rank_metrics(0), odd)
    append(directory / rundir.host_metrics(0), odd)
    writing.of_run(directory)
    assert r"a\"\u003cb>" in (directory / rundir.REPORT).read_text()


def test_a_report_that_cannot_be_made_is_a_line_in_the_log(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run")
    (directory / rundir.PLAN).write_text("{}")
    writing.of_run(directory)
    assert not (directory / rundir.REPORT).exists()
    assert "WARN  launch | no report.html: ValueError: plan schema None" in log(directory)


def test_plotly_itself_is_never_imported(tmp_path: Path) -> None:
    """Its import takes as long as a dry run; a report needs no more than the script in its package."""
    directory = recorded(tmp_path / "exp" / "run")
    program = (
        "import sys, pathlib; from primus.launch.report import writing;"
        f"writing.of_run(pathlib.Path({str(directory)!r}));"
        "sys.exit('plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=PATIENCE, check=False).returncode == 0
    assert 'id="plotly"' in (directory / rundir.REPORT).read_text()
