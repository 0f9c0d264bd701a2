"""Named patches that the user asked for: changes to a framework, made before it is imported.

`patches.json` beside rank.json lists them as the plan has them. Each is a Python file in the run directory with a
function `apply()`.
"""

import fnmatch
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from primus.node import rundir
from primus.rank.problems import UNFIT, Refused


def apply_all(directory: Path) -> None:
    """Apply those of the run. Raises Refused for a framework of another version, or a file that has changed."""
    path = directory / rundir.PATCH_LIST
    if not path.is_file():
        return
    for patch in json.loads(path.read_text(encoding="utf-8")):
        version = _version(patch)
        _load(patch, directory / patch["file"]).apply()
        print(f"primus: patch {patch['name']} is applied to {patch['package']} {version}", file=sys.stderr, flush=True)


def _version(patch: dict[str, Any]) -> str:
    name, package = patch["name"], patch["package"]
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise Refused(f"patch {name} is for {package}, which {sys.executable} does not have", UNFIT) from None
    if not any(fnmatch.fnmatchcase(found, pattern) for pattern in patch["versions"]):
        wanted = " or ".join(patch["versions"])
        raise Refused(
            f"patch {name} is for {package} {wanted}, and this is {found}: leave it out of patches=, "
            f"or take a {package} that it is for ({patch['until']})",
            UNFIT,
        )
    return found


def _load(patch: dict[str, Any], path: Path) -> Any:
    text = path.read_bytes()
    if hashlib.sha256(text).hexdigest() != patch["sha256"]:
        raise Refused(f"patch {patch['name']}: {path} is not what the plan says", UNFIT)
    name = f"primus_patch_{patch['name'].replace('/', '_').replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "apply"):
        raise Refused(f"patch {patch['name']}: {path} has no function apply()")
    return module
