"""hooks.use=[dependencies]: the ranks' interpreter has the packages that the backend was tested with.

Compared with `backend.setup`, what `task=setup` installs; with your own checkout (backend.path) less the framework.
"""

import json
import re
from typing import Dict, List

from primus.node import process
from primus.node.hooks.spec import Context, Hooks

_ASK = (
    "import importlib.metadata, json; "
    "print(json.dumps({d.metadata['Name']: d.version for d in importlib.metadata.distributions()}))"
)
# Seconds; on a slow network file system an environment of 300 packages takes some.
_PATIENCE = 90.0
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;,]+))?[^;]*$")


class Dependencies(Hooks):
    """Reads the metadata of installed packages; imports none of them."""

    timeout = 120

    def before_task(self, context: Context) -> None:
        """Raises RuntimeError that names what is missing or of another version."""
        backend = context.config.get("backend") or {}
        setup = backend.get("setup") or {}
        wanted = [*setup.get("requirements", ()), *setup.get("no_dependencies", ())]
        if not context.plan.backend or not wanted or not context.rank_python:
            context.skip("this task's ranks are not those of a backend")
        answer = process.ask([context.rank_python, "-c", _ASK], _PATIENCE, env=context.environ)
        if answer is None:
            raise RuntimeError(f"{context.rank_python} does not say what it has within {_PATIENCE:g} s")
        wrong = differences(wanted, json.loads(answer), "torchtitan" if backend.get("path") else "")
        if wrong:
            mend = f"primus task=setup backend={context.plan.backend}"
            raise RuntimeError(f"{context.rank_python}: {'; '.join(wrong)}. Mend it with: {mend}")
        print(f"{len(wanted)} packages of {context.rank_python} are those of backend.setup")


def differences(wanted: List[str], installed: Dict[str, str], leave_out: str = "") -> List[str]:
    """`torch 2.11.0 where 2.13.0 is wanted`, for each requirement (`name==version`) that is not met."""
    there = {_key(name): version for name, version in installed.items()}
    found = []
    for requirement in wanted:
        match = _PINNED.match(requirement.split(";")[0].strip())
        if not match or _key(match[1]) == leave_out:
            continue
        name, version = match[1], match[2]
        have = there.get(_key(name))
        if have is None:
            found.append(f"{name} is missing")
        elif version and have.partition("+")[0] != version.partition("+")[0]:  # 2.13.0+cu128 is a build of 2.13.0
            found.append(f"{name} {have} where {version} is wanted")
    return found


def _key(name: str) -> str:
    """Names of packages are compared so: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()
