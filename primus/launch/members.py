"""The module behind a choice: `task=train/pretrain` is `primus.launch.task.train.pretrain`. A new one is a new file."""

import importlib
from types import ModuleType

from primus.launch.problems import BadRequest


def member(group: str, name: str) -> ModuleType:
    """The module of a choice of `runtime`, `backend` or `task`; its `Settings` is the dataclass of the choice's YAML.

    Raises BadRequest when there is a YAML file of that name and no module to serve it.
    """
    path = f"primus.launch.{group}.{name.replace('/', '.').replace('-', '_')}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        raise BadRequest(f"{group}.name: no module serves the {group} {name!r} (looked for {path}).") from None
