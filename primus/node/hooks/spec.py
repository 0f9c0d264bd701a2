"""What a hook in Python may define. A file with a class that derives from `Hooks` is called through it.

    from primus.node.hooks.spec import Context, Hooks

    class Cache(Hooks):
        timeout = 60

        def before_task(self, context: Context) -> None:
            context.set_environment("TRITON_CACHE_DIR", "/local/triton")

Such a file runs on each node in a process of its own with the Python (>= 3.9) of the node agent, before or after the
ranks, whichever methods it has. It may import `primus.node`, which needs the standard library alone. To return is to be
done; `context.skip(why)` says that there was nothing to do; any exception stops the job before its ranks start.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, NoReturn, Optional

from primus.node import rundir
from primus.node.plan import Plan, from_json

SKIPPED = 2
"""The exit code of a hook that had nothing to do."""


class Skip(Exception):
    """There is nothing to do here."""


class Hooks:
    """Override what you need. `once`: on node 0 alone, for the whole job. `timeout`: seconds; None: hooks.timeout.

    Both are read without running the file, so each must be stated as a plain value.
    """

    once: bool = False
    timeout: Optional[float] = None

    def before_task(self, context: "Context") -> None:
        """Before any rank starts. The variables and arguments that are set here reach the ranks."""

    def after_task(self, context: "Context") -> None:
        """After all ranks have ended, also where the job failed or another hook stopped it."""


@dataclass(frozen=True)
class Context:
    """The job as a hook sees it. `environ` is what the ranks of this node get, as far as it is known by then.

    `status` and `exit_code` are how the job ended on this node (finished, failed, killed, unfit); None before it.
    """

    plan: Plan
    run_directory: Path
    node_rank: int
    environ: Mapping[str, str]
    status: Optional[str] = None
    exit_code: Optional[int] = None

    @property
    def config(self) -> Dict[str, Any]:
        """The resolved config."""
        return self.plan.config

    @property
    def rank_python(self) -> Optional[str]:
        """The interpreter of the ranks, where Primus starts them in one of Python."""
        return self.environ.get("PRIMUS_RANK_PYTHON")

    def set_environment(self, name: str, value: str) -> None:
        """A variable of the ranks; what the user has set wins."""
        _tell(f"env.{name}", value)

    def set_argument(self, name: str, value: Any) -> None:
        """An argument of the framework by its own name; what the user has set wins."""
        _tell(f"extra.{name}", value if isinstance(value, str) else json.dumps(value))

    def add_artifact(self, name: str, path: Path) -> None:
        """A file to be kept with the run; a relative path is that of this process's directory."""
        _tell(f"artifact.{name}", str(path.absolute()))

    def skip(self, why: str) -> NoReturn:
        """Leave: there is nothing to do. Raises Skip."""
        raise Skip(why)


def context(environ: Mapping[str, str]) -> Context:
    """The context of this process, by the variables that the node agent sets. Raises KeyError without them."""
    directory = Path(environ["PRIMUS_RUN_DIR"])
    code = environ.get("PRIMUS_EXIT_CODE")
    return Context(
        plan=from_json((directory / rundir.PLAN).read_text(encoding="utf-8")),
        run_directory=directory,
        node_rank=int(environ["PRIMUS_NODE_RANK"]),
        environ=environ,
        status=environ.get("PRIMUS_STATUS"),
        exit_code=int(code) if code else None,
    )


def _tell(key: str, value: str) -> None:
    if "\n" in value or "\r" in value:
        raise ValueError(f"{key}: a value of several lines cannot be handed on: {value!r}")
    print(f"{key}={value}", flush=True)


def here() -> Context:
    """The context of this process."""
    return context(os.environ)
