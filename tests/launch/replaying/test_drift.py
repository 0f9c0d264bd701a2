"""Before a run is run again it is told what has changed since, and refused where that was asked for."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.replaying.drift import compare
from primus.launch.replaying.surroundings import Surroundings

from ...conftest import Primus, everything

THEN = Surroundings("8 x NVIDIA H200", "580.1", "3.11.7", "c0ffee", {"torch": "2.13.0"}, {"NCCL_DEBUG": "INFO"})


def drift(**now: Any) -> list[str]:
    return [str(found) for found in compare(THEN, dataclasses.replace(THEN, **now))]


def test_the_same_surroundings_are_no_drift() -> None:
    assert compare(THEN, THEN) == []


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"device": "8 x NVIDIA H100"}, "device: 8 x NVIDIA H200 then, 8 x NVIDIA H100 now"),
        ({"driver": "590.2"}, "driver: 580.1 then, 590.2 now"),
        ({"python": "3.12.1"}, "python: 3.11.7 then, 3.12.1 now"),
        ({"commit": "beef"}, "git commit: c0ffee then, beef now"),
        ({"packages": {"torch": "2.14.0"}}, "package torch: 2.13.0 then, 2.14.0 now"),
        ({"packages": {"torch": "2.13.0", "jax": "1"}}, "package jax: none then, 1 now"),
        ({"environment": {}}, "environment NCCL_DEBUG: INFO then, none now"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_kind_of_change_is_told(now: dict[str, Any], told: str) -> None:
    assert drift(**now) == [told]


@pytest.mark.parametrize("unknown", [{"driver": ""}, {"python": ""}, {"commit": ""}, {"packages": {}}])
def test_what_cannot_be_told_is_no_change(unknown: dict[str, Any]) -> None:
    assert drift(**unknown) == []


def test_where_things_lie_is_told_but_does_not_matter() -> None:
    then = dataclasses.replace(THEN, environment={"PATH": "/a", "SLURM_JOB_ID": "1", "NCCL_DEBUG": "INFO"})
    now = dataclasses.replace(THEN, environment={"PATH": "/b", "SLURM_JOB_ID": "2", "NCCL_DEBUG": "WARN"})
    assert [(d.name, d.matters) for d in compare(then, now)] == [
        ("NCCL_DEBUG", True),
        ("PATH", False),
        ("SLURM_JOB_ID", False),
    ]


# The command.


def change(run: Path, **values: Any) -> None:
    """What the node wrote down, as if it had been another node."""
    file = run / "nodes/0.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_on_the_same_machine_nothing_has_changed(primus: Primus, recorded: Path) -> None:
    said = primus(f"replay={recorded}", "replay_strict=true")
    assert said.code == 0, said.err
    assert said.err == f"replay of {recorded}: nothing has changed since\n"


def test_a_run_on_the_cpu_by_choice_is_no_drift_either(primus: Primus, work: Path, recorded: Path) -> None:
    assert primus(f"replay={recorded}", "gpu=cpu").code == 0
    (again,) = {*(work / "outputs/default").iterdir()} - {recorded}
    assert primus(f"replay={again}", "replay_strict=true").code == 0


def test_what_has_changed_is_told_and_the_run_goes_on(primus: Primus, recorded: Path) -> None:
    packages = json.loads((recorded / "nodes/0.json").read_text())["packages"]
    change(recorded, packages=packages | {"pytest": "1.0"}, devices={"count": 8, "model": "NVIDIA H200"})
    said = primus(f"replay={recorded}")
    assert said.code == 0
    assert f"replay of {recorded}: changed since:\n  device: 8 x NVIDIA H200 then, " in said.err
    assert "  package pytest: 1.0 then, " in said.err


@pytest.mark.parametrize("how", [(), ("-m", "env.set.A=1,2")], ids=["alone", "sweep"])
def test_a_strict_replay_is_refused_where_it_matters_and_starts_nothing(
    primus: Primus, recorded: Path, work: Path, how: tuple[str, ...]
) -> None:
    change(recorded, devices={"count": 8, "model": "NVIDIA H200", "driver": "1"})
    before = everything(work)
    said = primus(f"replay={recorded}", "replay_strict=true", *how)
    assert said.code == 3
    assert "primus: replay_strict: device: 8 x NVIDIA H200 then, " in said.err
    assert said.err.endswith("Nothing was started.\n")
    assert everything(work) == before


def test_a_replay_of_a_run_in_pyxis_compares_what_can_be_known(
    primus: Primus, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recorded / "config.yaml"
    words = ("runtime=slurm", "container=pyxis", "container.image=some/image", "task=command", "task.command=['true']")
    planned = primus(*words, "tracking.enabled=false", "dry_run=json")
    assert planned.code == 0, planned.err
    file = recorded / "plan.json"
    made, before = json.loads(planned.out), json.loads(file.read_text())
    kept = {key: before[key] for key in ("run_id", "directory")}
    file.write_text(json.dumps(made | kept))
    config.write_text(yaml.safe_dump(made["config"]))
    change(recorded, container={"engine": "pyxis", "image": "some/image"})
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    said = primus(f"replay={recorded}")
    assert said.code == 3
    assert f"replay of {recorded}: " in said.err
    assert "no Slurm cluster can be reached from here" in said.err


def test_many_changes_of_one_kind_are_counted(primus: Primus, recorded: Path) -> None:
    change(recorded, packages={f"package-{i:02}": "1" for i in range(400)})
    said = primus(f"replay={recorded}").err
    assert said.count("  package package-") <= 12
    assert " more of kind package\n" in said
