"""In what runs differ, and what they are called for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from primus.launch.report.differences import between
from primus.node.plan import Plan

from ..record.run_directories import make_run


def plan(tmp_path: Path, *overrides: str, **config: Any) -> Plan:
    made = make_run(tmp_path / str(len(list(tmp_path.iterdir()))), overrides=overrides)
    return replace(made, config={**made.config, **config})


def test_backends_are_named_by_themselves(tmp_path: Path) -> None:
    plans = [plan(tmp_path, f"backend={name}", "task.steps=5") for name in ("torchtitan", "megatron")]
    found = between(plans, ["0", "1"])
    assert (found.keys, found.names) == (("backend",), ("torchtitan", "megatron"))
    assert found.shared == ("task.steps=5",)
    assert found.numbers("backend") is None


def test_numbers_are_named_with_their_key(tmp_path: Path) -> None:
    plans = [plan(tmp_path, f"task.optimizer.lr={lr}", f"task.seed={seed}") for lr, seed in (("1e-3", 1), ("1e-2", 2))]
    found = between(plans, ["0", "1"])
    assert found.names == ("lr=1e-3 seed=1", "lr=1e-2 seed=2")
    assert found.numbers("task.optimizer.lr") == [0.001, 0.01]


def test_keys_of_the_same_last_name_are_told_in_full(tmp_path: Path) -> None:
    plans = [plan(tmp_path, f"a.size={n}", f"b.size={n}") for n in (1, 2)]
    assert between(plans, ["0", "1"]).names[0] == "a.size=1 b.size=1"


def test_a_run_that_did_not_type_the_key_is_named_by_what_was_composed_for_it(tmp_path: Path) -> None:
    plans = [plan(tmp_path, "backend=megatron"), plan(tmp_path, backend={"name": "torchtitan"})]
    assert between(plans, ["0", "1"]).names == ("megatron", "torchtitan")
    typed_default = [plan(tmp_path, "task.steps=20"), plan(tmp_path)]
    assert between(typed_default, ["0", "1"]).keys == ()


def test_runs_that_differ_in_nothing_are_named_by_their_id(tmp_path: Path) -> None:
    assert between([plan(tmp_path), plan(tmp_path)], ["x", "y"]).names == ("x", "y")
    plans = [plan(tmp_path, f"backend={name}") for name in ("a", "a", "b")]
    assert between(plans, ["x", "y", "z"]).names == ("a x", "a y", "b")
