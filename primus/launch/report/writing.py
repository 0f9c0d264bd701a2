"""Write report.html into a run directory or a sweep directory, once all is over. Never harms what it reports on."""

from collections.abc import Callable
from pathlib import Path

from primus.launch import rundirectory
from primus.launch.record import sweep
from primus.launch.report import comparison, job, page, reading
from primus.launch.report.page import Page
from primus.node import rundir


def of_run(directory: Path) -> None:
    """Write the report of a run."""
    _write(directory, lambda: job.page(reading.run(directory)))


def of_sweep(directory: Path) -> None:
    """Write the comparison of the jobs of a sweep."""

    def build() -> Page:
        listed = sweep.read(directory)
        runs = reading.jobs(directory)
        title = f"{listed['experiment']} {listed['id']}"
        return comparison.page(title, listed.get("status", "RUNNING"), runs, len(listed["jobs"]) - len(runs))

    _write(directory, build)


def _write(directory: Path, build: Callable[[], Page]) -> None:
    try:
        rundir.write_text(directory / rundir.REPORT, page.html(build()))
    except Exception as error:  # whatever a program wrote as its metrics, or a full disk: the run and its record go on
        rundirectory.log(directory, "WARN", f"no {rundir.REPORT}: {type(error).__name__}: {error}")
