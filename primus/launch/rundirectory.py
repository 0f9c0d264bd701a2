"""Making a run directory: the plan, the config that replay runs, what the user typed, files of the plan, the code."""

import shutil
import time
from pathlib import Path

from primus.launch.problems import BadRequest
from primus.node import rundir
from primus.node.plan import Plan, to_json


def create(plan: Plan) -> Path:
    """Create the run directory and write what is known before the start. Raises BadRequest where that cannot be."""
    directory = Path(plan.directory)
    made = False
    try:
        directory.mkdir(parents=True)
        made = True
        write(plan, directory)
    except OSError as error:
        if made:
            shutil.rmtree(directory, ignore_errors=True)
        reason = error.strerror or str(error)
        raise BadRequest(f"output.root: cannot write the run directory {directory}: {reason}") from None
    return directory


def write(plan: Plan, directory: Path) -> None:
    """Write what is known before the start, the plan last: its presence means that the rest is there."""
    for file in plan.files:
        rundir.write_text(directory / file.path, file.text)
    rundir.reserve(directory / rundir.RESULT)
    rundir.write_text(directory / rundir.CONFIG, as_yaml(plan.config))
    rundir.write_text(directory / rundir.OVERRIDES, as_yaml(list(plan.overrides)))
    rundir.write_text(directory / rundir.PLAN, to_json(plan))


def as_yaml(value: object) -> str:
    """YAML text with the keys in their own order."""
    import yaml  # here: a Slurm job's first process has the standard library alone

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, where PyYAML was built with libyaml
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


def log(directory: Path, level: str, text: str) -> None:
    """Append to logs/launch.log, in the format of the ranks' logs. A full disk must not end a job for a log line."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
    path = directory / rundir.LAUNCH_LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{stamp} {level:<5} launch | {line}\n" for line in text.splitlines()))
    except OSError:
        return
