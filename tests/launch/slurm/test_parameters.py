"""Parameters of hydra-submitit-launcher are settings of `runtime`, or are refused by name."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from primus.launch.problems import BadRequest
from primus.launch.slurm.parameters import take_over

from ...conftest import Primus

RUNTIME = {"name": "slurm", "nodes": 1, "mem": None, "time": None, "options": {"nice": 1}}


def taken(**given: Any) -> Any:
    config = OmegaConf.create({"runtime": RUNTIME})
    OmegaConf.set_struct(config, True)  # as Hydra composes it
    take_over(config, OmegaConf.create({"_target_": "x", "nodes": "${runtime.nodes}", "tasks_per_node": 1, **given}))
    changed = OmegaConf.to_container(config.runtime)
    assert isinstance(changed, dict)
    return {key: value for key, value in changed.items() if value != RUNTIME[str(key)]}


def test_what_is_not_given_changes_nothing() -> None:
    assert taken(mem_gb=None, additional_parameters={}, stderr_to_stdout=True) == {}


def test_what_is_given_is_a_setting_or_an_option_beside_the_others() -> None:
    assert taken(nodes=2, mem_gb=64, timeout_min=30) == {"nodes": 2, "mem": "64G", "time": 30}
    assert taken(gres="gpu:8", cpus_per_gpu=4, additional_parameters={"mail_type": "END", "exclusive": True}) == {
        "options": {"nice": 1, "gres": "gpu:8", "cpus-per-gpu": 4, "mail-type": "END", "exclusive": True}
    }


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("gpus_per_task", 1, "runtime.gpus_per_node"),
        ("tasks_per_node", 2, "ranks_per_node"),
        ("setup", ["module load rocm"], "runtime.setup"),
        ("submitit_folder", "x", "output.root"),
    ],
)
def test_what_has_no_like_is_refused_with_what_to_use(name: str, value: Any, instead: str) -> None:
    with pytest.raises(BadRequest, match=rf"^hydra\.launcher\.{name}: .* use {instead}"):
        taken(**{name: value})


def test_another_runtime_has_none_of_them() -> None:
    config = OmegaConf.create({"runtime": {"name": "direct"}})
    with pytest.raises(BadRequest, match="mem can be had with runtime=slurm alone"):
        take_over(config, OmegaConf.create({"mem_gb": 64}))


@pytest.mark.parametrize("options", [(), ("-m",)])
def test_they_reach_the_script_of_a_job_and_of_a_sweep(primus: Primus, options: tuple[str, ...]) -> None:
    words = (*options, "runtime=slurm", "task=command", "task.command=true", "dry_run=true")
    said = primus(*words, "hydra.launcher.mem_gb=64", "hydra.launcher.gres=gpu:8")
    assert (said.code, said.err) == (0, "")
    assert "#SBATCH --mem=64G\n" in said.out
    assert "#SBATCH --gres=gpu:8\n" in said.out
