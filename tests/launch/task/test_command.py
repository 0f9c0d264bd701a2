"""Any program is a job."""

import json

import pytest

from ...conftest import Primus


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("python script.py", ["python", "script.py"]),
        ("echo 'a b' \"c d\" e\\ f", ["echo", "a b", "c d", "e f"]),
        ("[echo,'a b']", ["echo", "a b"]),
        ("echo 1e-3 007 true 1,2 --x=1 {y}", ["echo", "1e-3", "007", "true", "1,2", "--x=1", "{y}"]),
        ("echo $HOME ${HOME} * ; rm", ["echo", "$HOME", "${HOME}", "*", ";", "rm"]),
    ],
)
def test_the_words_of_a_command_are_those_that_were_typed(primus: Primus, typed: str, words: list[str]) -> None:
    said = primus("task=command", f"task.command={typed}", "dry_run=json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["job"]["command"] == words


@pytest.mark.parametrize("empty", ["", "[]", " "])
def test_nothing_is_no_command(primus: Primus, empty: str) -> None:
    said = primus("task=command", f"task.command={empty}")
    assert said.code == 2
    assert said.err.startswith("primus: task.command is empty: give a program and its arguments")


def test_a_quote_that_does_not_close_is_refused(primus: Primus) -> None:
    said = primus("task=command", "task.command=echo 'a")
    assert (said.code, said.err) == (2, "primus: task.command: No closing quotation: echo 'a\n")


def test_no_shell_ever_sees_it(primus: Primus) -> None:
    said = primus("task=command", "task.command=echo $HOME $(id)", "tracking.enabled=false")
    assert said.out.startswith("$HOME $(id)\n")
