"""A rank: `python <primus>/rank <backend> <rank.json>`, run by path with the interpreter of the backend.

That interpreter may not be the one that Primus is installed in. So `primus` is loaded from where this file lies, and
nothing else that lies there can be imported.
"""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the worker of the backend; returns the exit code. Its own errors, tracebacks and all, pass through."""
    _load_primus()
    from primus.rank.problems import Refused

    backend, config = arguments
    rank = json.loads(Path(config).read_text(encoding="utf-8"))
    if rank.get("path"):  # the user's own checkout of the framework
        sys.path.insert(0, os.path.expanduser(rank["path"]))
    worker = importlib.import_module(f"primus.rank.{backend}.worker")
    try:
        worker.run(rank)
    except Refused as refused:
        print(f"primus: {refused}", file=sys.stderr, flush=True)
        return refused.exit_code
    return 0


def _load_primus() -> None:
    here = Path(__file__).resolve().parent
    # Python has put this folder first: there, `import torchtitan` would find our own `torchtitan`.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    package = here.parent
    spec = importlib.util.spec_from_file_location(
        "primus", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["primus"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
