"""The table of known failures."""

import re
import string

import pytest

from primus.launch.config import catalog
from primus.launch.diagnosis.table import KINDS, Failure, failures
from tests.test_conf import read

EVERY = failures()
GROUPS = "task|runtime|container|network|data|model|output|backend"
each = pytest.mark.parametrize("failure", EVERY, ids=lambda failure: failure.name)


def test_names_are_unique():
    assert len({failure.name for failure in EVERY}) == len(EVERY)


@each
def test_an_entry_says_cause_advice_and_where_its_texts_were_read(failure: Failure):
    assert failure.kind in KINDS
    assert failure.patterns
    assert failure.cause
    assert failure.advice
    assert failure.source


@each
def test_whatever_pattern_matches_there_is_a_cause_to_say(failure: Failure):
    for pattern in failure.patterns:
        assert failure.filled(failure.cause, dict.fromkeys(pattern.groupindex, "x")), pattern.pattern


@each
def test_every_name_in_a_text_is_a_group_of_some_pattern(failure: Failure):
    groups = {name.removesuffix("_then") for pattern in failure.patterns for name in pattern.groupindex}
    asked = {name for text in (*failure.cause, *failure.advice) for _, name, _, _ in string.Formatter().parse(text)}
    assert asked - {None} <= groups


def test_what_the_advice_tells_to_set_can_be_set():
    known = (
        keys(read("runtime=slurm")[0]) | keys(read("data=megatron", "data.paths=tokens")[0]) | keys(read("data=hf")[0])
    )
    texts = [text for failure in EVERY for text in failure.advice]
    asked = {word for text in texts for word in re.findall(rf"(?<![\w.])(?:{GROUPS})(?:\.[a-z_]+)+", text)}
    assert len(asked) > 20
    assert asked - known == set()


def keys(value: object, before: str = "") -> set[str]:
    if not isinstance(value, dict):
        return set()
    here = {f"{before}{name}" for name in value}
    return here.union(*(keys(inner, f"{before}{name}.") for name, inner in value.items()))


def test_tasks_that_the_advice_names_exist():
    named = {word for failure in EVERY for text in failure.advice for word in re.findall(r"\btask=([a-z_/]+)", text)}
    assert named <= set(catalog.choices("task", [catalog.conf_dir()]))
