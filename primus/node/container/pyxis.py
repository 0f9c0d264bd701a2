"""Options of srun that pyxis adds (0.20), for a step whose tasks run in a container of enroot's."""

from typing import Sequence, Tuple

from primus.node.plan import Container, Mount

SEPARATORS = ",:"
"""What a path must not hold: `--container-mounts` is a list of source:target:flags."""


def srun_options(container: Container, mounts: Sequence[Mount], directory: str) -> Tuple[str, ...]:
    """What srun needs so that each task is in the container. Devices, limits and the user are the step's own: enroot's
    hooks mount NVIDIA's and InfiniBand's, and the environment of srun goes in over that of the image."""
    binds = ",".join(f"{m.source}:{m.target}" + (":ro" if m.read_only else "") for m in mounts)
    names = [variable.partition("=")[0] for variable in container.environment]
    return (
        f"--container-image={container.image}",
        f"--container-mounts={binds}",
        f"--container-workdir={directory}",
        *((f"--container-env={','.join(names)}",) if names else ()),
        "--no-container-mount-home",
        "--no-container-entrypoint",
        *container.options,
    )
