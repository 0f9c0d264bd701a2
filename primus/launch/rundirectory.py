"""Making a run directory: the plan, the config that replay runs, what the user typed, files of the plan, the code."""

import json
import time
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from primus.launch.alike import Alike
from primus.launch.problems import BadRequest
from primus.node import rundir
from primus.node.plan import Plan
from primus.node.typed import plain


def create(plan: Plan, alike: Alike | None = None) -> Path:
    """Create the run directory and write what is known before the start. Raises BadRequest where that cannot be.

    Those of a sweep's jobs are created with the same `alike`.
    """
    directory = Path(plan.directory)
    made = False
    try:
        directory.mkdir(parents=True)
        made = True
        write(plan, directory, alike)
    except OSError as error:
        if made:
            import shutil  # here, as below: a Slurm job's first process needs none of it

            shutil.rmtree(directory, ignore_errors=True)
        reason = error.strerror or str(error)
        raise BadRequest(f"output.root: cannot write the run directory {directory}: {reason}") from None
    return directory


def write(plan: Plan, directory: Path, alike: Alike | None = None) -> None:
    """Write what is known before the start, the plan last: its presence means that the rest is there."""
    known = alike or Alike()
    for file in plan.files:
        rundir.write_text(directory / file.path, file.text)
    rundir.reserve(directory / rundir.RESULT)
    rundir.write_text(directory / rundir.CONFIG, _config_text(plan.config, known))
    rundir.write_text(directory / rundir.OVERRIDES, as_yaml(list(plan.overrides)))
    rundir.write_text(directory / rundir.PLAN, _plan_text(plan, known))


def _config_text(config: Mapping[str, Any], known: Alike) -> str:
    """`as_yaml` of it, part by part."""
    parts = (known.of(f"yaml {key}", value, partial(as_yaml, {key: value})) for key, value in config.items())
    return "".join(parts) if config else as_yaml(config)


def _plan_text(plan: Plan, known: Alike) -> str:
    """`to_json` of it, part by part."""
    parts = (f"  {json.dumps(f.name)}: {_part_text(getattr(plan, f.name), known)}" for f in fields(plan))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part_text(value: Any, known: Alike) -> str:
    """The value of a key of a plan: of a mapping or a list each of its own values for itself."""
    if value and isinstance(value, dict):
        inner = [
            f"    {_indented(key, 0)}: {known.of('json', one, partial(_indented, one, 2))}"
            for key, one in value.items()
        ]
        return "{\n" + ",\n".join(inner) + "\n  }"
    if value and isinstance(value, tuple):
        inner = [f"    {known.of('json', one, partial(_indented, one, 2))}" for one in value]
        return "[\n" + ",\n".join(inner) + "\n  ]"
    return _indented(value, 1)


def _indented(value: Any, depth: int) -> str:
    """As it stands so deep in `to_json`: no text of JSON has a line break in it, so that each is one of the layout."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False).replace("\n", "\n" + "  " * depth)


def as_yaml(value: object) -> str:
    """YAML text with the keys in their own order."""
    import yaml  # the first process has the standard library alone

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
