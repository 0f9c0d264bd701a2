"""The module behind a choice: `task=train/pretrain` is `primus.launch.task.train.pretrain`. A new one is a new file.

Of an installed plugin it is `<its package>.task.train.pretrain`.
"""

import importlib
import re
from types import ModuleType

from primus.launch import plugins
from primus.launch.problems import BadRequest


def member(group: str, name: str) -> ModuleType:
    """The module of a choice of `runtime`, `backend` or `task`; its `Settings` is the dataclass of the choice's YAML.

    Raises BadRequest when there is a YAML file of that name and no module to serve it.
    """
    if not re.fullmatch(r"\w[\w/-]*", name):
        raise BadRequest(f"{group}.name: {name!r} is no name of a {group}")
    inside = f"{group}.{name.replace('/', '.').replace('-', '_')}"
    paths = [f"{package}.{inside}" for package in ("primus.launch", *(p.package for p in plugins.installed()))]
    for path in paths:
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{path}.".startswith(f"{error.name}."):
                raise
    raise BadRequest(f"{group}.name: no module serves the {group} {name!r} (looked for {', '.join(paths)}).")
