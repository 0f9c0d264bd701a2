"""Ranks of MaxText, with the interpreter that has it."""

from functools import partial
from pathlib import Path

import pytest

from ..conftest import Run, runner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, maxtext_python: str) -> Run:
    """`runner` for MaxText: for a module, so that what one test trained another can go on with.

    Ranks that compile the same program share it: half of a short training's time.
    """
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    run_ranks = runner(tmp_path_factory.mktemp("maxtext"))
    return partial(run_ranks, backend="maxtext", python=maxtext_python, environment=compiled)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A glob of text that a model can learn."""
    folder: Path = tmp_path_factory.mktemp("texts")
    for number in range(40):
        (folder / f"{number}.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    return f"{folder}/*.txt"
