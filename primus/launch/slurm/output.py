"""`runtime.output`: where the user wants the job's log, by sbatch's patterns; there is a link to that of the run.

A link and not sbatch's own --output: whatever follows a run finds its log in the run directory.
"""

import getpass
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from primus.launch.problems import BadRequest
from primus.launch.slurm.options import Settings
from primus.node import rundir

_PATTERN = re.compile(r"%(\d{0,2})(.?)", re.DOTALL)
_JOB, _ARRAY = ("j", "A", "x", "u", "%"), ("A", "a", "x", "u", "%")
"""What can be told when a job, and when an array, has been submitted (`filename pattern` in sbatch(1) of 22.05)."""


def check(settings: Settings, *, array: bool = False) -> None:
    """Raise BadRequest for what cannot be told at submission, and for one name for all jobs of an array."""
    given = settings.output
    if given is None:
        return
    if not given or not given.isprintable():
        raise BadRequest(f"runtime.output: {given!r} must be a path in one line of visible text")
    known = _ARRAY if array else _JOB
    found = [letter for _, letter in _PATTERN.findall(given)]
    for letter in found:
        if letter not in known:
            why = "each job of a sweep has a number of its own: %A_%a" if letter == "j" else "is known when it runs"
            can = ", ".join(f"%{one}" for one in known)
            raise BadRequest(f"runtime.output: %{letter} of {given!r}: {why}. What there is: {can}")
    if array and "a" not in found:
        raise BadRequest(
            f"runtime.output: {given!r} is one name for all jobs of the sweep: give it %a, as in %A_%a.log"
        )


def check_free(settings: Settings, directory: Path) -> None:
    """Raise BadRequest where a file has the name already. `directory` is where the user types."""
    if settings.output is None or re.search(r"%\d*[jA]", settings.output):  # no job has had that number
        return
    fixed = place(settings, directory, "", "")
    if _is_of_others(fixed):
        raise BadRequest(
            f"runtime.output: {fixed} is there, and is no link to a log: give another name, such as %j.log"
        )


def place(settings: Settings, directory: Path, job_id: str, run_id: str, index: str = "") -> Path:
    """The path of a job's log. A number before the letter is the width of a number, with zeros before it."""
    values = {"j": job_id, "A": job_id, "a": index, "x": settings.job_name or f"primus-{run_id}", "%": "%"}

    def replaced(found: "re.Match[str]") -> str:
        value = getpass.getuser() if found[2] == "u" else values[found[2]]
        return value.zfill(int(found[1] or 0)) if value.isdigit() else value

    return directory / Path(_PATTERN.sub(replaced, str(settings.output))).expanduser()


def link(settings: Settings, directory: Path, job_id: str, runs: Iterable[tuple[Path, str]], run_id: str) -> list[Path]:
    """Make the links for jobs that are submitted: `runs` are their directories, and the index of each in its array.

    One that cannot be made is said, and is no reason to take the job back. Returns those that were.
    """
    made = []
    for run, index in runs if settings.output is not None else ():
        path = place(settings, directory, job_id, run_id, index)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if _is_of_others(path):
                raise FileExistsError(0, "there is a file of this name")
            path.unlink(missing_ok=True)
            path.symlink_to(run / rundir.JOB_LOG)
        except OSError as error:
            said = f"primus: runtime.output: {path}: {error.strerror}; the log is {run / rundir.JOB_LOG}"
            print(said, file=sys.stderr, flush=True)
        else:
            made.append(path)
    return made


def _is_of_others(path: Path) -> bool:
    return path.exists() and not path.is_symlink()
