"""`primus --help`: all that can be chosen, and what to type first."""

import re
from pathlib import Path

import pytest

from primus.launch.config import catalog, help

from ...conftest import Primus

DIRECTORIES = [catalog.conf_dir()]


@pytest.mark.parametrize("group", catalog.GROUPS)
def test_every_group_and_choice_is_named_with_a_line(group: str) -> None:
    section = re.search(rf"^{group}=\n((?:  .*\n)+)", help.text(DIRECTORIES, 100), re.MULTILINE)
    assert section
    for name, choice in catalog.choices(group, DIRECTORIES).items():
        assert choice.summary, f"{choice.path} has no line for --help"
        assert re.search(rf"^  {re.escape(name)}\s+{re.escape(choice.summary[:20])}", section[1], re.MULTILINE)


def test_there_are_five_examples_that_can_be_typed() -> None:
    text = help.text(DIRECTORIES, 120)
    examples = text.split("Examples\n")[1].split("\n\n")[0].splitlines()
    assert len(examples) == 5
    assert all(re.fullmatch(r"  primus.* # .+", example) for example in examples)


def test_the_exit_codes_are_told() -> None:
    text = " ".join(help.text(DIRECTORIES, 60).split())
    assert "0 done, 1 the job failed, 2 the request is wrong, 3 the environment is not fit, 130 interrupted" in text


@pytest.mark.parametrize("width", [60, 79, 80, 100])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    too_long = [line for line in help.text(DIRECTORIES, width).splitlines() if len(line) > width]
    assert not too_long


def test_the_command_prints_it_for_the_terminal_there_is(primus: Primus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = primus("--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.strip() == help.text(DIRECTORIES, 60).strip()


def test_a_users_own_choices_are_in_it(primus: Primus, work: Path) -> None:
    (work / "conf/model").mkdir(parents=True)
    (work / "conf/model/big.yaml").write_text("# For $5 a day.\nname: big\n")
    assert re.search(r"^  big +For \$5 a day\.$", primus("--config-dir", "conf", "--help").out, re.MULTILINE)
