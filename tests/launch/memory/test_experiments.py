"""Every experiment of a preset: it fits its GPUs by estimate, its backend takes it, and its plan is shown."""

import dataclasses
from pathlib import Path

import pytest

from primus.launch import memory, planning, show
from primus.launch.config import catalog, reading
from primus.launch.memory import fit
from primus.node.plan import Note

from ...test_conf import CONF, HERE, read
from .table import EXPERIMENTS, row

DOC = Path(__file__).parents[3] / "docs/memory.md"
SPARE = 0.95  # of the memory, with the reserve of the estimate counted as taken


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_fits_its_gpus_and_its_plan_is_shown(name: str, tmp_path: Path) -> None:
    data, source, request = read(f"experiment={name}")
    here = dataclasses.replace(HERE, directory=tmp_path)
    plan = planning.build(request, data, source, here, "20261121-093012-4f2a9c")  # refuses what cannot go together
    (note,) = [note for note in plan.notes if note.label == "memory"]
    assert not note.warning
    assert f"memory        {note.text}" in show.text(plan, here)
    taken = float(note.text.split(" GiB")[0])
    assert request.gpu.memory is not None
    assert taken <= SPARE * request.gpu.memory
    model, gpu = name.rsplit("_", 1)
    assert (request.model.name, request.experiment.name) == (model, name)
    ranks = plan.job.nodes * (plan.job.ranks_per_node or 0)
    assert gpu == f"{request.gpu.name.removesuffix('x')}x{ranks}"


def test_every_preset_has_an_experiment_for_both_makers() -> None:
    presets = set(catalog.choices("model", [CONF])) - {"tiny"}
    for gpu in ("h200", "mi300"):
        assert {name.rsplit("_", 1)[0] for name in EXPERIMENTS if f"_{gpu}x" in name} == presets


def test_the_table_in_the_docs_is_that_of_the_experiments() -> None:
    """`python -m tests.launch.memory.table` prints it."""
    text = DOC.read_text(encoding="utf-8")
    missing = [name for name in EXPERIMENTS if row(name) not in text.splitlines()]
    assert missing == []


def test_what_does_not_fit_is_a_warning_with_what_mends_it() -> None:
    _, source, request = read("experiment=llama3_70b_h200x32", "ranks_per_node=1")
    task = reading.typed(_settings(request.task["name"]), request.task, "task", source)
    (note,) = fit.notes(request.gpu, "", request.model, task, "torchtitan", 4)
    assert note.warning
    assert "of 139.7 GiB per GPU, more than there is by estimate: weights" in note.text
    assert "Mend it with task.activation_checkpointing=full, a smaller task.micro_batch, more GPUs" in note.text


def test_nothing_is_said_where_the_memory_or_the_number_of_ranks_is_not_known() -> None:
    def notes(*words: str, found: str = "", world_size: int | None = 8) -> tuple[Note, ...]:
        _, source, request = read(*words)
        task = reading.typed(_settings(request.task["name"]), request.task, "task", source)
        return fit.notes(request.gpu, found, request.model, task, "torchtitan", world_size)

    assert notes() == ()
    assert notes("gpu=cpu", found="NVIDIA H200") == ()
    assert notes("gpu=h200", world_size=None) == ()
    assert len(notes("gpu=h200")) == 1
    assert len(notes(found="NVIDIA H200")) == 1


def _settings(task: str) -> type:
    from primus.launch.members import member

    settings: type = member("task", task).Settings
    return settings


def test_the_reserve_counts_as_taken() -> None:
    estimate = memory.Estimate(10.0, 20.0, 30.0, 40.0, 0.0)
    assert estimate.used == 100.0
    assert estimate.total == 110.0 + 2 * memory.GIB
