"""The interpreters of the backends that need one of their own, for tests that start real ranks."""

import os
from pathlib import Path

import pytest
import yaml

from primus.launch import place
from primus.launch.backend.environments import environment
from primus.launch.backend.settings import Settings
from primus.launch.config.catalog import conf_dir
from primus.node.typed import read


def python(backend: str) -> str:
    """The interpreter of a backend: $PRIMUS_TEST_<BACKEND>_PYTHON, else what `primus task=setup` made.

    A machine without either fails the test: it needs one command more, not one test less.
    """
    variable = f"PRIMUS_TEST_{backend.upper()}_PYTHON"
    given = os.environ.get(variable)
    if given:
        assert os.access(given, os.X_OK), f"{variable}: there is no program {given}"
        return given
    content = yaml.safe_load(Path(conf_dir(), f"backend/{backend}.yaml").read_text(encoding="utf-8"))
    made = environment(read(Settings, content, "backend"), place.here("cpu"))
    if not made.made():
        pytest.fail(
            f"{made.directory} is not there. Make it with: primus task=setup backend={backend}  (or {variable}=…)"
        )
    return str(made.python)
