"""The jobs of a sweep are composed as Hydra composes each of them, sooner."""

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from primus.launch.config import catalog, composing, reading
from primus.launch.problems import BadRequest


@pytest.fixture(scope="module")
def hydra() -> Iterator[Hydra]:
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        made = GlobalHydra.instance().hydra
        assert made is not None
        yield made


def master(hydra: Hydra) -> DictConfig:
    return hydra.compose_config("config", [], RunMode.MULTIRUN, from_shell=False, with_log_configuration=False)


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
        ([["task.seed=1"], ["task.seed=2"], ["task.seed=3"]], 1),
        ([["++env.set.I=1", "task.steps=5"], ["++env.set.I=a b", "task.steps=5"]], 1),
        ([["+env.set.I=1"], ["+env.set.I=null"]], 1),
        ([["task.seed=1"], ["task.seed=${task.steps}"]], 1),
        ([["console.ranks=all"], ["console.ranks='0,1'"]], 1),
        ([["env.forward=[A]"], ["env.forward=[B,C]"], ["env.forward=[]"]], 1),
        ([["model=tiny"], ["model=llama3_8b"]], 2),
        ([["model=tiny", "task.seed=1"], ["model=tiny", "task.seed=2"], ["model=llama3_8b", "task.seed=1"]], 2),
        ([["task.seed=1"], ["task.steps=2"]], 2),
        ([["task.seed=1"], ["task.seed=1", "task.steps=2"]], 2),
        ([["++env.set={A:1}"], ["++env.set={B:1}"]], 2),
        ([["++env.set={A:1}", "++env.set.A=2"], ["++env.set={A:1}", "++env.set.A=3"]], 2),
        ([["~env.set"], ["~env.forward"]], 2),
        ([["debug=true"], ["debug=false"]], 2),
        ([["task.seed=1"], ["task.seed=1"]], 1),
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
