"""Tab completion of choices in folders: Hydra 1.3.8 offers a group's own folder alone, and never `train/pretrain`."""

from collections.abc import Sequence
from pathlib import Path

from primus.launch.config import catalog


def choices(line: str, directories: Sequence[Path]) -> list[str]:
    """What can stand at the end of the command line `line` when that is a `group=`; empty when it is not."""
    group, equals, begun = line.rsplit(" ", 1)[-1].partition("=")
    if not equals or group not in catalog.groups(directories):
        return []
    return [f"{group}={name}" for name in catalog.choices(group, directories) if name.startswith(begun)]
