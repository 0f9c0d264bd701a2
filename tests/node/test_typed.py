"""Plain data become dataclasses, and whatever is wrong is named by key."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Literal, Optional, Tuple, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus.node.typed import DataError, bounded, closest, plain, read


@dataclass(frozen=True)
class Inner:
    size: int
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    rate: float = 0.0
    on: bool = False
    many: Tuple[Inner, ...] = ()
    by_name: Dict[str, int] = dataclasses.field(default_factory=dict)
    perhaps: Optional[int] = None
    either: Union[bool, Literal["json"]] = False
    kind: Literal["cosine", "linear"] = "cosine"
    steps: int = dataclasses.field(default=5, metadata=bounded(least=1, most=9).metadata)
    lr: float = dataclasses.field(default=1.0, metadata=bounded(above=0).metadata)
    share: float = dataclasses.field(default=0.5, metadata=bounded(below=1, hint="a share").metadata)
    any: Any = None


def problems(data: Any, cls: Any = Outer, key: str = "") -> Dict[str, str]:
    with pytest.raises(DataError) as refused:
        read(cls, data, key)
    return {problem.key: problem.message for problem in refused.value.problems}


def outer(**values: Any) -> Dict[str, Any]:
    return {"inner": {"size": 1}, **values}


def test_data_that_fit_become_the_dataclass() -> None:
    value = read(Outer, outer(many=[{"size": 2}], by_name={"a": 1}, perhaps=3, either="json", any={"x": [1]}))
    assert value == Outer(Inner(1), many=(Inner(2),), by_name={"a": 1}, perhaps=3, either="json", any={"x": [1]})


def test_plain_is_the_way_back() -> None:
    value = Outer(Inner(1, "y"), many=(Inner(2),), by_name={"a": 1})
    assert read(Outer, plain(value)) == value
    assert plain(value)["many"] == [{"size": 2, "name": "x"}]


@given(st.builds(Inner, st.integers(), st.text()))
def test_whatever_it_holds(value: Inner) -> None:
    assert read(Inner, plain(value)) == value


def test_every_key_that_is_wrong_is_named() -> None:
    found = problems({"inner": {"size": "big"}, "rate": "x", "many": [{"size": 1}, {"size": None}], "sped": 1})
    assert set(found) == {"inner.size", "rate", "many[1].size", "sped"}


def test_keys_are_named_from_where_the_data_are_in_the_document() -> None:
    assert set(problems({}, Inner, "task.optimizer")) == {"task.optimizer.size"}


def test_a_key_that_there_is_not_is_answered_with_the_closest() -> None:
    assert problems(outer(stps=3))["stps"].endswith("Did you mean 'steps'?")


def test_a_key_that_is_missing_is_missed() -> None:
    assert problems({}) == {"inner": "missing"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rate", "fast", "expected a number, got 'fast' (text)"),
        ("rate", True, "expected a number, got True (true or false)"),
        ("on", 1, "expected true or false, got 1 (a whole number)"),
        ("on", "true", "expected true or false, got 'true' (text)"),
        ("perhaps", 1.0, "expected a whole number, got 1.0 (a number)"),
        ("perhaps", True, "expected a whole number, got True (true or false)"),
        ("many", {"a": 1}, "expected a list, got {'a': 1} (a mapping)"),
        ("many", "text", "expected a list, got 'text' (text)"),
        ("by_name", [1], "expected a mapping, got [1] (a list)"),
        ("inner", None, "expected a mapping, got nothing (null)"),
        ("either", "yaml", "expected true or false, got 'yaml' (text); or 'yaml' is not among json."),
        ("kind", "cosin", "'cosin' is not among cosine, linear. Did you mean 'cosine'?"),
        ("kind", 3, "3 is not among cosine, linear."),
        ("steps", 0, "0 is less than 1, the least it can be"),
        ("steps", 10, "10 is more than 9, the most it can be"),
        ("lr", 0, "0.0 must be above 0"),
        ("share", 1, "1.0 must be below 1: a share"),
        ("rate", float("nan"), "nan is no number that anything can be computed with"),
        ("rate", float("inf"), "inf is no number that anything can be computed with"),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_right(key: str, value: Any, said: str) -> None:
    assert problems(outer(**{key: value})) == {key: said}


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_mapping_is_no_dataclass(data: Any) -> None:
    assert set(problems(data)) == {"the document"}


def test_bounds_include_themselves_but_for_above() -> None:
    assert read(Outer, outer(steps=1)).steps == 1
    assert read(Outer, outer(steps=9)).steps == 9
    assert read(Outer, outer(lr=1e-12)).lr == 1e-12


def test_a_whole_number_is_a_number_too() -> None:
    value = read(Outer, outer(rate=3)).rate
    assert (value, type(value)) == (3.0, float)


def test_a_number_may_be_a_name() -> None:
    assert read(Inner, {"size": 1, "name": 2024}).name == "2024"


@pytest.mark.parametrize(
    ("word", "choices", "hint"),
    [
        ("torchtitn", ["torchtitan", "megatron"], " Did you mean 'torchtitan'?"),
        ("lr", ["task.steps", "task.optimizer.lr"], " Did you mean 'task.optimizer.lr'?"),
        ("xyz", ["task.steps"], ""),
        ("x", [], ""),
        ("1", [1, 2], " Did you mean '1'?"),
    ],
)
def test_the_closest_choice_is_offered_only_where_one_is_close(word: str, choices: Any, hint: str) -> None:
    assert closest(word, choices) == hint
