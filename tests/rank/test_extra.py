"""Arguments that hooks ask for, in a rank."""

import json
from typing import Any

import pytest

from primus.node.hooks.protocol import EXTRA
from primus.rank import extra
from primus.rank.problems import Refused


@pytest.fixture(autouse=True)
def of_a_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extra.VARIABLE == EXTRA
    monkeypatch.setenv(EXTRA, json.dumps({"training": {"value": {"steps": 1}, "hook": "10_a.sh"}}))


def test_they_come_below_the_users_own() -> None:
    rank: dict[str, Any] = {"args": {"debug.seed": 7}}
    extra.take(rank)
    assert rank["args"] == {"training": {"steps": 1}, "debug.seed": 7}


def test_a_task_that_takes_none_names_the_hook() -> None:
    with pytest.raises(Refused, match=r"extra\.training of hook 10_a\.sh: this task takes no arguments"):
        extra.take({})


def test_messages_name_the_hook_where_one_asked_and_else_the_users_key() -> None:
    assert extra.key("training.steps") == "extra.training.steps of hook 10_a.sh"
    assert extra.key("debug.seed") == "backend.args.debug.seed"
    assert extra.keys() == "backend.args and extra.training of hook 10_a.sh"


def test_a_value_that_a_hook_changes_is_said_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    extra.tell("training.steps", 1, 3)
    extra.tell("training.steps", 1, 1)
    extra.tell("debug.seed", 1, 3)
    assert capsys.readouterr().err == "primus: extra.training.steps of hook 10_a.sh: 1 in place of 3\n"
