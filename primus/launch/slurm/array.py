"""The jobs of a sweep as one job array: what they must have in common, how they lie in it, and its script. Pure."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from primus.launch.problems import BadRequest
from primus.launch.slurm import script
from primus.launch.slurm.options import Settings
from primus.node import rundir
from primus.node.digits import whole
from primus.node.plan import Plan


def common(plans: Sequence[Plan], secrets: Sequence[Mapping[str, str]]) -> None:
    """Raise BadRequest, with the key, for jobs that one array cannot hold: sbatch has one set of options for all."""
    runtimes: list[dict[str, Any]] = [plan.config["runtime"] for plan in plans]
    for key in runtimes[0]:
        values = list(dict.fromkeys(str(runtime[key]) for runtime in runtimes))
        _refuse(f"runtime.{key}", values, ", ".join(values[:4]))
    for name in dict.fromkeys(name for given in secrets for name in given):
        _refuse(f"env.set.{name}", list(dict.fromkeys(given.get(name, "") for given in secrets)), "its values")


def _refuse(key: str, values: Sequence[str], shown: str) -> None:
    if len(values) > 1:
        raise BadRequest(
            f"{key}: a sweep on Slurm is one job array, for all of whose jobs sbatch is told the same, not {shown}. "
            f"Give a sweep for each value of {key}"
        )


def script_of(settings: Settings, sweep: Path, first_process: Sequence[str], indices: Sequence[int]) -> str:
    """The batch script of an array; job `i` runs `<sweep>/<i>/`."""
    most = f"%{settings.array_parallelism}" if settings.array_parallelism else ""
    several = settings.jobs_per_element > 1
    which = ("--jobs", ranges(indices), "--each", str(settings.jobs_per_element)) if several else ()
    elements = sorted(set(places(indices, settings.jobs_per_element).values()))
    log = _log("%a") if several else None
    return script.build(settings, sweep, (*first_process, "--array", *which), ranges(elements) + most, log)


def places(indices: Sequence[int], each: int) -> dict[int, int]:
    """Job -> the element of the array that runs it: its own number, or where one runs several, how many come before."""
    return {index: n // each if each > 1 else index for n, index in enumerate(indices)}


def firsts(indices: Sequence[int], each: int) -> list[int]:
    """The first job of each element."""
    return list(indices[::each])


def link_logs(sweep: Path, indices: Sequence[int], each: int) -> None:
    """What Slurm itself prints of an element of several jobs goes to the log of the first, by a link of its number."""
    folder = (sweep / _log("0")).parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for element, index in enumerate(firsts(indices, each)):
        (sweep / _log(str(element))).symlink_to(Path("..") / str(index) / rundir.JOB_LOG)


def _log(element: str) -> str:
    return f"elements/{element}.log"


def check_size(indices: Sequence[int], each: int, most: str) -> None:
    """Raise BadRequest where an element would have a number that is not below `most`, MaxArraySize of slurm.conf."""
    top = max(places(indices, each).values(), default=0)
    if whole(most) and 1 < int(most) <= top:
        needed = max(2, -(-len(indices) // int(most)))
        raise BadRequest(
            f"runtime.jobs_per_element: with {each} the array of this sweep would have an element {top}, and those of "
            f"this cluster end at {int(most) - 1} (MaxArraySize). runtime.jobs_per_element={needed} runs {needed} jobs "
            "in each element, one after another"
        )


def ranges(indices: Sequence[int]) -> str:
    """Ascending indices as sbatch takes them: `0-3,7,9-10`."""
    found: list[list[int]] = []
    for index in indices:
        if found and index == found[-1][-1] + 1:
            found[-1] = [found[-1][0], index]
        else:
            found.append([index])
    return ",".join("-".join(map(str, ends)) for ends in found)


def read(text: str) -> list[int]:
    """The indices of `ranges`."""
    ends = (part.partition("-") for part in text.split(","))
    return [index for first, _, last in ends for index in range(int(first), int(last or first) + 1)]
