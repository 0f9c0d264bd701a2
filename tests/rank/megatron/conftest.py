"""Ranks of Megatron, with the interpreter that has it."""

from functools import partial
from pathlib import Path

import pytest

from tests import neutral

from ..conftest import Run, runner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, megatron_python: str) -> Run:
    """`runner` for Megatron: for a module, so that what one test trained another can go on with."""
    environment = neutral.backend("megatron").environment
    ranks = runner(tmp_path_factory.mktemp("megatron"))
    return partial(ranks, backend="megatron", python=megatron_python, environment=environment)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A glob of text that a model can learn."""
    folder: Path = tmp_path_factory.mktemp("texts")
    for number in range(40):
        (folder / f"{number}.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    return f"{folder}/*.txt"
