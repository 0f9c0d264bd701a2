"""A rank: `python <primus>/rank <backend> <rank.json>`, run by path with the interpreter of the backend.

`backend` is the name of one of Primus's own, or the path of a plugin's `worker.py`.

That interpreter may not be the one that Primus is installed in. So `primus` is loaded from where this file lies, and
nothing else that lies there can be imported.
"""

import atexit
import faulthandler
import importlib
import importlib.util
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType


def main(arguments: list[str]) -> int:
    """Run the worker of the backend; returns the exit code. Its own errors, tracebacks and all, pass through."""
    _load_primus()
    from primus.rank import extra, patches, progress
    from primus.rank.problems import Refused

    faulthandler.register(signal.SIGUSR2, file=2)  # how the node agent asks for the stacks: primus.node.dump
    progress.beat("starting")
    backend, config = arguments
    rank = json.loads(Path(config).read_text(encoding="utf-8"))
    if rank.get("path"):  # the user's own checkout of the framework
        sys.path.insert(0, os.path.expanduser(rank["path"]))
    try:
        extra.take(rank)
        patches.apply_all(Path(config).parent)
        worker = _worker(backend)
        worker.run(rank)
        progress.beat("ending")
    except Refused as refused:
        print(f"primus: {refused}", file=sys.stderr, flush=True)
        return refused.exit_code
    if getattr(worker, "ENDS_AT_ONCE", False):
        _leave()
    return 0


def _leave() -> None:
    """End with 0, after all that Python does at an end but for taking the interpreter apart; see ENDS_AT_ONCE."""
    threading._shutdown()  # type: ignore[attr-defined]  # no public name: waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _worker(backend: str) -> ModuleType:
    """Primus's own by its name, a plugin's by the path of its file."""
    if not backend.endswith(".py"):
        return importlib.import_module(f"primus.rank.{backend}.worker")
    packages = Path(*Path(backend).parts[:-4])  # <packages>/<package>/rank/<backend>/worker.py
    if packages == Path(os.environ.get("PRIMUS_RUN_DIR", ""), "code/plugins"):  # frozen: what it imports of itself too
        sys.path.insert(0, str(packages))
    name = f"primus_worker_{Path(backend).parent.name}"
    spec = importlib.util.spec_from_file_location(name, backend)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
