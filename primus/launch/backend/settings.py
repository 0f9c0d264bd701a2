"""The group `backend`: the same keys for every framework."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What `task=setup` makes an environment of: the Python version that the framework needs, and pinned requirements.

    `interpreter` is the Python to make it with (None: looked for), `directory` where environments are kept (None: the
    user's cache), `no_dependencies` what is installed without what it asks for.
    """

    python: str
    interpreter: str | None
    directory: str | None
    requirements: tuple[str, ...]
    no_dependencies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`python` is the interpreter of the ranks; None: chosen. `path` is a checkout of the framework to use instead.

    `environment` is what the ranks get, unless the user's shell or `env.set` says otherwise. `args` are options of the
    framework by its own names, for what has no neutral one.
    """

    name: str
    python: str | None
    path: str | None
    args: dict[str, Any]
    environment: dict[str, str]
    setup: Setup
