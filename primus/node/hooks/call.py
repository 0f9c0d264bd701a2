"""`python <primus>/node/hooks/call.py FILE CLASS before|after`: call a hook that is a class (see spec.py)."""

import importlib.util
import os
import sys


def main(file: str, name: str, phase: str) -> int:
    """The exit code: 0 done, 2 skipped; an exception ends this process with 1 and its traceback."""
    _find_primus()
    from primus.node.hooks import spec

    found = importlib.util.spec_from_file_location("primus_hook", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["primus_hook"] = module
    found.loader.exec_module(module)
    hooks = getattr(module, name)()
    try:
        (hooks.before_task if phase == "before" else hooks.after_task)(spec.here())
    except spec.Skip as skip:
        print(f"skipped: {skip}")
        return spec.SKIPPED
    return 0


def _find_primus() -> None:
    """Import `primus` from where this file lies, and leave neither this folder nor what is beside it on sys.path."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != own]
    beside = os.path.dirname(os.path.dirname(os.path.dirname(own)))
    sys.path.insert(0, beside)
    import primus  # noqa: F401 -- its submodules are found by its own __path__ from now on

    sys.path.remove(beside)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
