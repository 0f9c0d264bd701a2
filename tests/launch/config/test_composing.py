"""The jobs of a sweep are composed as Hydra composes each of them, sooner."""

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from primus.launch.config import catalog, composing


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
        assert OmegaConf.to_container(made) == OmegaConf.to_container(expected)
        assert OmegaConf.is_struct(made) == OmegaConf.is_struct(expected)
    assert loader.calls == calls


def test_no_config_is_part_of_another(hydra: Hydra) -> None:
    first, second = composing.every(hydra.config_loader, master(hydra), [["task.seed=1"], ["task.seed=2"]])
    second.task.steps = 77
    assert (first.task.seed, second.task.seed, first.task.steps != 77) == (1, 2, True)


def test_a_key_that_is_not_there_is_refused_as_hydra_does(hydra: Hydra) -> None:
    with pytest.raises(HydraException, match=r"Could not override .task\.sed."):
        composing.every(hydra.config_loader, master(hydra), [["task.sed=1"], ["task.sed=2"]])
