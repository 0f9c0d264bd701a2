"""A composed config becomes a typed request, or one complaint that names every key that is wrong."""

import pickle

import pytest
from omegaconf import OmegaConf

from primus.launch.config.origin import Origins
from primus.launch.config.reading import complaint, located, resolve
from primus.launch.problems import BadRequest, WrongValue
from primus.node.typed import DataError, Problem


def test_references_are_resolved_and_hydras_own_part_is_left_out() -> None:
    config = OmegaConf.create({"a": 3, "b": "${a}", "hydra": {"x": "${nowhere}"}})
    assert resolve(config) == {"a": 3, "b": 3}


def test_a_value_that_must_be_given_is_asked_for() -> None:
    with pytest.raises(BadRequest, match=r"^task\.command has no value yet: give it with task\.command=…$"):
        resolve(OmegaConf.create({"task": {"command": "???"}}))


def test_three_question_marks_are_a_value_where_values_are_taken_as_they_are() -> None:
    assert resolve(OmegaConf.create({"env": {"set": {"A": "???"}}})) == {"env": {"set": {"A": "???"}}}


@pytest.mark.parametrize("reference", ["${nowhere}", "${oc.env:PRIMUS_NO_SUCH_VARIABLE}", "${no_such_resolver:1}"])
def test_a_reference_to_nothing_is_refused_by_key(reference: str) -> None:
    with pytest.raises(BadRequest, match=r"^model\.name: "):
        resolve(OmegaConf.create({"model": {"name": reference}}))


def test_a_value_that_is_found_wrong_later_has_its_origin_too() -> None:
    source = Origins(("runtime.nodes=9",), (), {})
    with (
        pytest.raises(BadRequest, match=r"^runtime\.nodes: too many  \(command line: runtime\.nodes=9\)$"),
        located(source),
    ):
        raise WrongValue("runtime.nodes", "too many")
    with pytest.raises(BadRequest, match=r"^SBATCH_TIMELIMIT: too long$"), located(source):
        raise WrongValue("SBATCH_TIMELIMIT", "too long")
    assert str(pickle.loads(pickle.dumps(WrongValue("a", "b")))) == "a: b"


def test_every_key_that_is_wrong_has_a_line_with_its_origin() -> None:
    source = Origins(("task.steps=x",), (), {})
    error = DataError([Problem("task.steps", "is wrong"), Problem("task.seed", "is wrong too")])
    assert str(complaint(error, source)) == (
        "task.steps: is wrong  (command line: task.steps=x)\ntask.seed: is wrong too"
    )
