"""How far the ranks of a node have come, by what they have written: their metrics, their checkpoints."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping, Optional

from primus.node import rundir
from primus.node.plan import Plan

_END = 64 << 10  # bytes at the end of a metrics file in which the last step is looked for


def mend(directory: Path, rank: int) -> int:
    """End the last line of a rank's metrics, which may have been killed as it wrote: the next one begins a line of its
    own. Returns the size of the file in bytes.
    """
    with suppress(OSError), (directory / rundir.rank_metrics(rank)).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        return file.seek(0, os.SEEK_END)
    return 0


def step_of(line: Mapping[str, Any]) -> Optional[int]:
    """The step of a line of metrics, also one that was written as a float, such as 100.0; None where it tells none."""
    step = line.get("step")
    if isinstance(step, float) and step.is_integer():
        return int(step)
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def last_step(directory: Path, sizes: Mapping[int, int]) -> Optional[int]:
    """The last step that any of these ranks has reported since its metrics had that size; None where none has."""
    steps = (_last_step(directory / rundir.rank_metrics(rank), size) for rank, size in sizes.items())
    return max((step for step in steps if step is not None), default=None)


def saved_step(plan: Plan, directory: Path) -> Optional[int]:
    """The step of the newest complete checkpoint of a training, 0 where it has none; None for any other job."""
    from primus.node import checkpoints  # here: only a job that starts again asks

    settings = (plan.config.get("task") or {}).get("checkpoint")
    if plan.backend not in checkpoints.KINDS or not isinstance(settings, dict):
        return None
    given = settings.get("directory")
    folder = Path(plan.job.directory, os.path.expanduser(given)) if given else directory / checkpoints.FOLDER
    whole = checkpoints.judged(folder, plan.backend).whole
    return whole.step if whole else 0


def note_restart(directory: Path, node_rank: int, restarts: int, step: int) -> None:
    """Metric `restarts` of the job, at the step where it goes on; raises OSError."""
    with (directory / rundir.host_metrics(node_rank)).open("ab", buffering=0) as file:
        file.write(json.dumps({"time": time.time(), "step": step, "restarts": restarts}).encode() + b"\n")


def _last_step(path: Path, since: int) -> Optional[int]:
    try:
        with path.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - _END))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError, AttributeError):  # cut off, or no object
            step = step_of(json.loads(line))
            if step is not None:
                return step
    return None
