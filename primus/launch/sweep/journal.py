"""sweep.json: the jobs of a sweep and how it ended; what `sweep.resume=true` goes by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch.config.arguments import key_of
from primus.launch.problems import BadRequest
from primus.launch.record.files import read_json
from primus.node import rundir
from primus.node.plan import Plan

FILE = "sweep.json"


@dataclass(frozen=True)
class Journal:
    """One sweep. `jobs` are the overrides of each job, by index; `status` is None while it runs."""

    id: str
    experiment: str
    jobs: tuple[tuple[str, ...], ...]
    status: str | None = None

    def write(self, directory: Path) -> None:
        """Write sweep.json, whole or not at all. Raises BadRequest where it cannot be written."""
        jobs = [{"index": i, "overrides": list(overrides)} for i, overrides in enumerate(self.jobs)]
        content = {"id": self.id, "experiment": self.experiment, "jobs": jobs}
        if self.status:
            content["status"] = self.status
        try:
            rundir.write_json(directory / FILE, content)
        except OSError as error:
            raise BadRequest(f"output.root: cannot write {directory}: {error.strerror}") from None


def read(directory: Path) -> Journal | None:
    """The journal of a sweep directory, or None where there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        jobs = tuple(tuple(str(o) for o in job["overrides"]) for job in content["jobs"])
        return Journal(content["id"], content["experiment"], jobs, content.get("status"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def same_jobs(overrides: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The recorded overrides that make a job what it is, in one order: not those about how it is shown, recorded and
    waited for."""
    about = ("tracking.", "console.", "runtime.detach", "runtime.array_parallelism", "runtime.jobs_per_element")
    return tuple(tuple(sorted(o for o in job if not key_of(o).startswith(about))) for job in overrides)


def unfinished(experiment: Path, jobs: tuple[tuple[str, ...], ...]) -> Path:
    """The newest sweep of these jobs in an experiment's folder that did not finish; raises BadRequest for none."""
    for file in sorted(experiment.glob(f"*/{FILE}"), reverse=True):
        journal = read(file.parent)
        if journal and same_jobs(journal.jobs) == jobs and journal.status != "FINISHED":
            return file.parent
    raise BadRequest(
        f"sweep.resume: no unfinished sweep with these overrides in {experiment}. "
        "Leave out sweep.resume=true to start one."
    )


def finished(directory: Path) -> dict[str, Any] | None:
    """The result in a job's run directory, if it is that of a run that finished well."""
    result = read_json(directory / rundir.RESULT)
    return result if result.get("status") == "FINISHED" else None


def set_aside(directory: Path) -> None:
    """Make room for another try of a job: what an earlier one left is renamed, never deleted."""
    tries = 1
    while directory.with_name(f"{directory.name}.try-{tries}").exists():
        tries += 1
    directory.rename(directory.with_name(f"{directory.name}.try-{tries}"))


def changing(plans: Sequence[Plan]) -> list[str]:
    """For each job its overrides that not all jobs share, as the table shows them."""
    every = [set(p.overrides) for p in plans]
    shared = set.intersection(*every) if len(every) > 1 else set()
    return [" ".join(o for o in p.overrides if o not in shared) for p in plans]
