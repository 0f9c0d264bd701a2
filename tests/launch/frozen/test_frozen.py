"""A plan names the frozen code before it is there."""

from dataclasses import replace
from pathlib import Path

from primus.launch import frozen
from primus.node.plan import Code, Plan

from ..test_planning import place, plan


def seen(directory: str, run: str = "/runs/1") -> Path:
    return frozen.as_the_job_sees(place(Path(directory)), Path(run)).directory


def as_frozen(made: Plan) -> Plan:
    return replace(made, job=replace(made.job, directory=str(seen("/project/inside", made.directory))))


def test_a_job_stands_where_its_command_was_typed_in_the_snapshot() -> None:
    assert seen("/project") == Path("/runs/1/code/source")
    assert seen("/project/inside/deep") == Path("/runs/1/code/source/inside/deep")


def test_the_agent_is_that_of_the_snapshot() -> None:
    assert frozen.as_the_job_sees(place(), Path("/runs/1")).primus == Path("/runs/1/code/primus")


def test_outside_of_git_a_job_stands_where_its_command_was_typed_and_is_warned() -> None:
    outside = replace(place(), code=Code("/project", None))
    assert frozen.as_the_job_sees(outside, Path("/runs/1")).directory == Path("/project")
    (note,) = frozen.notes(outside)
    assert (note.warning, note.text) == (
        True,
        "/project is in no git commit, so it is not frozen: the job runs what is there when it starts",
    )


def test_an_absolute_path_into_the_checkout_is_not_frozen_and_said() -> None:
    (note,) = frozen.notes(place(PYTHONPATH="/project/lib:/elsewhere:lib"))
    assert note.text.startswith("PYTHONPATH holds /project/lib: ")
    assert frozen.notes(place(PYTHONPATH="lib")) == ()


def test_the_way_back_to_where_the_command_was_typed() -> None:
    made = plan("task=command", "task.command=x")
    assert frozen.stood_in(made) == Path(made.job.directory)
    assert frozen.stood_in(as_frozen(made)) == Path("/project/inside")
