"""Jobs with hooks."""

import hashlib
from dataclasses import replace
from typing import Any

from primus.node import rundir
from primus.node.plan import Hook, from_json, to_json

from ..conftest import Run


def add_hooks(run: Run, texts: dict[str, str], **how: Any) -> None:
    """Give a job that has not started hooks: texts by their names, `phase-NN_name.sh`."""
    hooks = []
    for number, (key, text) in enumerate(texts.items()):
        phase, _, name = key.partition("-")
        file = f"hooks/{number:02}-{name}"
        rundir.write_text(run.directory / file, text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        hooks.append(Hook(name, f"/project/{name}", file, digest, phase, **{"once": False, "timeout": 20.0, **how}))
    path = run.directory / rundir.PLAN
    path.write_text(to_json(replace(from_json(path.read_text()), hooks=tuple(hooks))))
