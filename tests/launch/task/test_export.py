"""A run as one file."""

from pathlib import Path

import pytest

from ...conftest import Primus, Rank, everything


@pytest.fixture
def run(primus: Primus, rank: Rank, work: Path) -> Path:
    assert primus(*rank(""), "tracking.enabled=false").code == 0
    (directory,) = (work / "outputs/default").iterdir()
    return directory


@pytest.mark.parametrize("name", ["run.tar.gz", "run.tar.zst", "new folder/run.tgz"])
def test_the_file_is_written_and_how_to_replay_it_is_said(primus: Primus, run: Path, name: str) -> None:
    said = primus("task=export", f"run={run}", f"to='{name}'")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{name}  (0.0 MB)\nreplay  primus replay=")
    assert Path(name).is_file()


def test_the_command_to_replay_can_be_typed(primus: Primus, run: Path) -> None:
    assert primus("task=export", f"run={run.name}", "to='a b.tar.gz'").out.endswith("primus replay='a b.tar.gz'\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["to=x.tar.gz"], "task=export needs a run: run=<run directory or id>"),
        (["run={run}"], "task=export needs a file to write: to=FILE.tar.gz or to=FILE.tar.zst"),
        (["run={run}", "to=x.zip"], "to=x.zip: the file must end in one of .tar.gz, .tgz, .tar.zst"),
        (["run=no/run", "to=x.tar.gz"], "run=no/run: there is no such run directory or file."),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_nothing_is_written(
    primus: Primus, run: Path, work: Path, words: list[str], said: str
) -> None:
    before = everything(work)
    answer = primus("task=export", *(word.format(run=run) for word in words))
    assert (answer.code, answer.err) == (2, f"primus: {said}\n")
    assert everything(work) == before


def test_a_packed_run_is_not_packed_again(primus: Primus, run: Path) -> None:
    assert primus("task=export", f"run={run}", "to=x.tar.gz").code == 0
    assert primus("task=export", "run=x.tar.gz", "to=y.tar.gz").err == "primus: run=x.tar.gz is a packed run already\n"
