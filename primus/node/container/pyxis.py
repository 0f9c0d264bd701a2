"""Options of srun that pyxis adds (0.20), for a step whose tasks run in a container of enroot's."""

import fnmatch
import re
from typing import Any, Dict, Mapping, Sequence, Tuple

from primus.node.plan import Container, Mount, Plan

SEPARATORS = ",:"
"""What a path must not hold: `--container-mounts` is a list of source:target:flags."""


def srun_options(plan: Plan, mounts: Sequence[Mount], environ: Mapping[str, str]) -> Tuple[str, ...]:
    """What srun, whose environment `environ` is, needs so that each task is in the container. Devices, limits and the
    user are the step's own: enroot's hooks mount NVIDIA's and InfiniBand's. All of srun's environment goes in, below
    that of the image but for the variables that are named here."""
    assert plan.container
    binds = ",".join(f"{m.source}:{m.target}" + (":ro" if m.read_only else "") for m in mounts)
    names = _above_the_image(plan, environ)
    return (
        f"--container-image={plan.container.image}",
        f"--container-mounts={binds}",
        f"--container-workdir={plan.job.directory}",
        *((f"--container-env={','.join(names)}",) if names else ()),
        "--no-container-mount-home",
        "--no-container-entrypoint",
        *plan.container.options,
    )


def command(container: Container, words: Sequence[str]) -> Tuple[str, ...]:
    """The words as srun is to get them. It looks for a program on the host: `env` is where it is in the image too."""
    return ("/usr/bin/env", *(given for given in container.environment if "=" in given), *words)


def identity(container: Container) -> Dict[str, Any]:
    """What is known of the container inside: enroot keeps no digest of what it has imported."""
    return {"engine": container.engine, "image": container.image}


def _above_the_image(plan: Plan, environ: Mapping[str, str]) -> Tuple[str, ...]:
    """The plan's secrets, and the variables that the user named. Pyxis knows no patterns, passes over what is not set,
    and writes the names into a script of a shell."""
    assert plan.container
    patterns = [given for given in plan.container.environment if "=" not in given]
    secrets = [v.name for layer in plan.environment for v in layer.variables if v.value is None]
    named = [name for pattern in patterns for name in environ if fnmatch.fnmatchcase(name, pattern)]
    return tuple(n for n in dict.fromkeys([*named, *secrets]) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", n))
