"""What is written of a plan, whether or not it shares parts with others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from primus.launch import rundirectory
from primus.launch.alike import Alike
from primus.node.plan import Code, Job, Layer, Plan, Variable, from_json, to_json

LAYER = Layer("user", (Variable("A", "ü\n\"'", "x"), Variable("B", None, "y")))


def plan(directory: Path, **changes: Any) -> Plan:
    job = Job(1, None, ("python3", "x y"), "/", "cpu", {}, "0", 1.0, 2.0)
    config = {"task": {"steps": 3, "list": [], "of": [{"a": None}], "none": {}}, "log": None, "seed": 1.5, "env": {}}
    known = Plan(1, "0", str(directory), "command", "", config, ("a=1", "b='ü'"), Code("/", None), job,
                 (LAYER,), (), ("primus",))  # fmt: skip
    return replace(known, **changes)


@pytest.mark.parametrize("empty", [False, True])
def test_the_texts_of_plans_that_share_parts_are_those_of_each_alone(tmp_path: Path, empty: bool) -> None:
    alike = Alike()
    first = plan(tmp_path / "0", **({"config": {}, "environment": (), "overrides": ()} if empty else {}))
    shared = {**first.config, "seed": 2, "task": {"steps": 4}}
    second = replace(first, run_id="1", directory=str(tmp_path / "1"), config=shared)
    for one in (first, second, replace(first, directory=str(tmp_path / "2"))):
        directory = rundirectory.create(one, alike)
        text = (directory / "plan.json").read_text()
        assert text == to_json(one)
        assert from_json(text) == one
        assert (directory / "config.yaml").read_text() == rundirectory.as_yaml(one.config)


def test_a_result_is_worked_out_once_for_an_object_and_a_purpose() -> None:
    alike, value, asked = Alike(), ["a"], list[str]()

    def work() -> int:
        asked.append("x")
        return len(asked)

    assert [alike.of(p, v, work) for p, v in (("p", value), ("p", value), ("q", value), ("p", ["a"]))] == [1, 1, 2, 3]
