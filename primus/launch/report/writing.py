"""Write report.html into a run directory or a sweep directory, once all is over. Never harms what it reports on."""

from collections.abc import Callable, Sequence
from pathlib import Path

from primus.launch import rundirectory
from primus.launch.report import comparison, job, page, reading
from primus.launch.report.page import Page
from primus.launch.results import sheet
from primus.launch.sweep import journal
from primus.node import rundir


def of_run(directory: Path) -> None:
    """Write the report of a run that is over, unless it is there; before it the table of its results."""
    try:
        sheet.write(directory)
    except (OSError, ValueError) as error:
        rundirectory.log(directory, "WARN", f"no {rundir.RESULTS_TABLE}: {error}")
    _write(directory, rundir.RESULT, lambda: job.page(reading.run(directory)))


def of_sweep(directory: Path) -> None:
    """Write the comparison of the jobs of a sweep that is over, unless it is there."""

    def build() -> Page:
        found = journal.read(directory)
        if found is None:
            raise ValueError(f"no {journal.FILE} that can be read")
        runs = [reading.run(path) for path in started(directory, len(found.jobs))]
        name = f"{found.experiment} {found.id}"
        return comparison.page(name, found.status or "RUNNING", runs, len(found.jobs) - len(runs))

    _write(directory, journal.FILE, build)


def started(sweep: Path, jobs: int) -> Sequence[Path]:
    """The run directories of those jobs of a sweep that were started."""
    folders = (sweep / str(index) for index in range(jobs))
    return [folder for folder in folders if (folder / rundir.PLAN).is_file()]


def _write(directory: Path, end: str, build: Callable[[], Page]) -> None:
    """`end` is the file that said that all is over: a report that is older tells of an earlier end."""
    report = directory / rundir.REPORT
    try:
        if not report.exists() or report.stat().st_mtime < (directory / end).stat().st_mtime:
            rundir.write_text(report, page.html(build()))
    except Exception as error:  # whatever a program wrote as its metrics, or a full disk: the run and its record go on
        rundirectory.log(directory, "WARN", f"no {rundir.REPORT}: {type(error).__name__}: {error}")
