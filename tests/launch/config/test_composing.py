"""The jobs of a sweep are composed as Hydra composes each of them, sooner."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from primus.launch.config import catalog, composing, reading
from primus.launch.problems import BadRequest


@pytest.fixture(scope="module")
def hydra() -> Iterator[Hydra]:
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        made = GlobalHydra.instance().hydra
        assert made is not None
        yield made


def master(hydra: Hydra, *overrides: str) -> DictConfig:
    return hydra.compose_config(
        "config", list(overrides), RunMode.MULTIRUN, from_shell=False, with_log_configuration=False
    )


class Counting:
    """Hydra's loader, and how often it composed a sweep's job."""

    def __init__(self, loader: Any) -> None:
        self._loader, self.calls = loader, 0

    def load_sweep_config(self, *arguments: Any) -> DictConfig:
        self.calls += 1
        composed: DictConfig = self._loader.load_sweep_config(*arguments)
        return composed


@pytest.mark.parametrize(
    ("jobs", "calls"),
    [
        ([["task.seed=1"], ["task.seed=2"], ["task.seed=3"]], 0),
        ([["++env.set.I=1", "task.steps=5"], ["++env.set.I=a b", "task.steps=5"]], 0),
        ([["+env.set.I=1"], ["+env.set.I=null"]], 0),
        ([["task.seed=1"], ["task.seed=${task.steps}"]], 0),
        ([["console.ranks=all"], ["console.ranks='0,1'"]], 0),
        ([["env.forward=[A]"], ["env.forward=[B,C]"], ["env.forward=[]"]], 0),
        ([["model=tiny"], ["model=llama3_8b"]], 2),
        ([["model=tiny", "task.seed=1"], ["model=tiny", "task.seed=2"], ["model=llama3_8b", "task.seed=1"]], 2),
        ([["task.seed=1"], ["task.steps=2"]], 0),
        ([["task.seed=1"], ["task.seed=1", "task.steps=2"]], 0),
        ([["++env.set={A:1}"], ["++env.set={B:1}"]], 2),
        ([["++env.set={A:1}", "++env.set.A=2"], ["++env.set={A:1}", "++env.set.A=3"]], 2),
        ([["~env.set"], ["~env.forward"]], 2),
        ([["debug=true"], ["debug=false"]], 2),
        ([["task.seed=1"], ["task.seed=1"]], 0),
    ],
)
def test_each_config_is_hydras_own(hydra: Hydra, jobs: list[list[str]], calls: int) -> None:
    whole, loader = master(hydra), Counting(hydra.config_loader)
    for made, overrides in zip(composing.every(loader, whole, jobs), jobs, strict=True):
        expected = hydra.config_loader.load_sweep_config(whole, overrides)
        assert made.data == reading.resolve(expected)
        assert list(made.data) == list(reading.resolve(expected))
        assert made.chosen == reading.chosen(expected)
    assert loader.calls == calls


@pytest.mark.parametrize(
    ("overrides", "jobs", "calls"),
    [
        (
            ["model=llama3_8b", "task.seed=1,2"],
            [["model=llama3_8b", "task.seed=1"], ["model=llama3_8b", "task.seed=2"]],
            0,
        ),
        (["task.seed=1,2", "++env.set.A=b"], [["task.seed=1", "++env.set.A=b"], ["task.seed=2", "++env.set.A=b"]], 0),
        (["task.seed=1,2", "task.seed=7"], [["task.seed=1", "task.seed=7"], ["task.seed=2", "task.seed=7"]], 2),
        (["model=tiny,llama3_8b"], [["model=tiny"], ["model=llama3_8b"]], 2),
        (["task.seed=1,2"], [["experiment.name=${hydra.job.config_name}", f"task.seed={n}"] for n in (1, 2)], 1),
        (["model=llama3_8b"], [["task.seed=1"]], 1),
        (["+env.set.A=1,2"], [["+env.set.A=1"], ["+env.set.A=2"]], 0),
    ],
)
def test_the_sweeps_own_config_serves_for_values_alone(
    hydra: Hydra, overrides: list[str], jobs: list[list[str]], calls: int
) -> None:
    whole, loader = master(hydra, *overrides), Counting(hydra.config_loader)
    before = OmegaConf.to_container(whole)
    made = composing.every(loader, whole, jobs)
    assert loader.calls == calls
    assert OmegaConf.to_container(whole) == before
    for one, own in zip(made, jobs, strict=True):
        expected = hydra.config_loader.load_sweep_config(whole, own)
        assert one.data == reading.resolve(expected)
        assert one.chosen == reading.chosen(expected)


def test_what_a_sweep_leaves_to_its_jobs_to_choose_hydra_asks_them_for(hydra: Hydra, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "open.yaml").write_text("# @package _global_\ndefaults:\n  - override /model: ???\n")
    whole = master(hydra, f"hydra.searchpath=[file://{tmp_path}]", "experiment=open", "task.seed=1,2")
    with pytest.raises(HydraException, match="must specify 'model'"):
        composing.every(hydra.config_loader, whole, [["experiment=open", "task.seed=1"]])


def test_a_value_that_refers_to_one_that_changes_changes_with_it(hydra: Hydra) -> None:
    own = "experiment.name=${hydra.overrides.task[3]}", "task.steps=${task.seed}"
    jobs = [[*own, "++env.set.A=1", "task.seed=3"], [*own, "++env.set.A=2", "task.seed=4"]]
    whole = master(hydra)
    for made, overrides in zip(composing.every(hydra.config_loader, whole, jobs), jobs, strict=True):
        assert made.data == reading.resolve(hydra.config_loader.load_sweep_config(whole, overrides))
        assert made.data["task"]["steps"] == made.data["task"]["seed"]
        assert overrides[-1] in made.data["experiment"]["name"]


def test_a_value_of_one_job_is_not_that_of_the_next(hydra: Hydra) -> None:
    jobs = [["env.set.A=1", "task.seed=1"], ["env.set.A=2", "task.seed=1"], ["env.set.A=1", "task.seed=3"]]
    jobs = [["++" + job[0], job[1]] for job in jobs]
    made = [one.data for one in composing.every(hydra.config_loader, master(hydra), jobs)]
    assert [(one["env"]["set"]["A"], one["task"]["seed"]) for one in made] == [(1, 1), (2, 1), (1, 3)]
    assert made[0]["model"] is made[2]["model"]


def test_each_config_is_adapted(hydra: Hydra) -> None:
    def adapt(config: DictConfig) -> None:
        config.task.steps = config.task.seed + 1

    jobs = [["task.seed=1"], ["task.seed=2"], ["task.seed=1"]]
    made = composing.every(hydra.config_loader, master(hydra), jobs, adapt)
    assert [one.data["task"]["steps"] for one in made] == [2, 3, 2]


def test_what_cannot_be_resolved_is_refused(hydra: Hydra) -> None:
    with pytest.raises(BadRequest, match="nope"):
        composing.every(hydra.config_loader, master(hydra), [["task.seed=1"], ["task.seed=${nope}"]])


def test_a_key_that_is_not_there_is_refused_as_hydra_does(hydra: Hydra) -> None:
    with pytest.raises(HydraException, match=r"Could not override .task\.sed."):
        composing.every(hydra.config_loader, master(hydra), [["task.sed=1"], ["task.sed=2"]])
