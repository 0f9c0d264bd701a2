"""Every YAML file under conf/ can be chosen, and its plan can be shown."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from primus.launch import planning, show
from primus.launch.config import catalog, reading
from primus.launch.config.catalog import Choice
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.node import manifest
from primus.node.devices import Devices
from primus.node.plan import Code, from_json, to_json

from .conftest import Primus

CONF = catalog.conf_dir()
EVERY = [(group, choice) for group in catalog.GROUPS for choice in catalog.choices(group, [CONF]).values()]
IDS = [f"{group}={choice.name}" for group, choice in EVERY]
# What a choice cannot do without.
NEEDS = {
    "task=command": ["task.command=[echo]"],
    "task=export": ["run=a", "to=b.tar.gz"],
    "task=diff": ["run_a=a"],
    "task=train/evaluate": ["checkpoint=saved"],
    "task=data/tokenize": ["task.files=*.bin", "task.output=more"],
    "data=megatron": ["data.paths=tokens"],
    "runtime=container": ["container=docker", "container.image=some/image"],
    **{
        f"container={name}": ["runtime=container", "container.image=some/image"]
        for name in ("docker", "podman", "apptainer")
    },
    "container=auto": ["runtime=container", "container.image=some/image"],
    "container=pyxis": ["runtime=slurm", "container.image=some/image"],
}
# What the default backend has no part for.
LACKING = {"model=llama4_scout", "model=llama4_maverick"}
HERE = Place(
    Path("/project"), Path("/opt/primus"), "/usr/bin/python3", {}, Code("/project", None), Devices("cpu", "", 0, (), "")
)

each = pytest.mark.parametrize(("group", "choice"), EVERY, ids=IDS)


def read(*overrides: str) -> tuple[dict[str, Any], Origins, Request]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    data, source = reading.resolve(config), reading.origins(config, overrides, [CONF])
    return data, source, reading.request(data, source)


@each
def test_a_choice_composes_and_its_plan_is_shown(group: str, choice: Choice, tmp_path: Path) -> None:
    for name in ("tokens.bin", "tokens.idx"):
        (tmp_path / name).touch()
    (tmp_path / "saved/step-1").mkdir(parents=True)
    (tmp_path / "saved/step-1/.metadata").touch()
    manifest.write(tmp_path / "saved/step-1", 0, 1)  # so it is whole
    here = dataclasses.replace(HERE, directory=tmp_path)
    word = f"{group}={choice.name}"
    data, source, request = read(word, *NEEDS.get(word, []))
    task = member("task", request.task["name"])
    if word in LACKING:
        with pytest.raises(BadRequest, match=r"model\.chunk: TorchTitan .* has no Llama 4"):
            planning.build(request, data, source, HERE, "20261121-093012-4f2a9c")
        return
    if hasattr(task, "act"):
        assert reading.typed(task.Settings, request.task, "task", source)
        return
    plan = planning.build(request, data, source, here, "20261121-093012-4f2a9c")
    assert from_json(to_json(plan)) == plan
    assert f"task          {plan.task}" in show.text(plan, here)


@each
def test_a_choice_is_named_like_its_file(group: str, choice: Choice) -> None:
    content = yaml.safe_load(choice.path.read_text())
    own = content.get(group, content)  # whole keys: `# @package _global_`
    assert own["name"] == choice.name


@each
def test_a_choice_has_a_line_for_the_help(group: str, choice: Choice) -> None:
    assert choice.summary.endswith(".") or choice.summary.endswith("?")


def test_every_yaml_file_is_a_choice_or_the_main_file() -> None:
    assert {*CONF.rglob("*.y*ml")} == {choice.path for _, choice in EVERY} | {
        CONF / "config.yaml",
        CONF / "hydra/unless_chosen.yaml",
    }


def test_every_key_of_the_main_file_says_what_it_is_for() -> None:
    lines = (CONF / "config.yaml").read_text().split("hydra:")[0].split("override hydra/job_logging: none\n")[1]
    values = [line for line in lines.splitlines() if ": " in line.strip()]
    assert [line for line in values if "#" not in line and "run_b" not in line] == []


def test_a_users_own_choice_works_beside_primuss_own(primus: Primus, work: Path) -> None:
    (work / "mine/model").mkdir(parents=True)
    small = (
        (CONF / "model/tiny.yaml").read_text().replace("name: tiny", "name: small").replace("layers: 4", "layers: 2")
    )
    (work / "mine/model/small.yaml").write_text(small)
    said = primus("--config-dir", "mine", "model=small", "dry_run=json")
    assert (said.code, said.err) == (0, "")
    config = from_json(said.out).config
    assert (config["model"]["name"], config["model"]["layers"]) == ("small", 2)


def test_a_users_own_experiment_sets_keys_of_every_group(primus: Primus, work: Path) -> None:
    (work / "mine/experiment").mkdir(parents=True)
    (work / "mine/experiment/ours.yaml").write_text(
        "# @package _global_\n# Ours.\ndefaults:\n  - override /data: mock\n"
        "experiment: {name: ours}\ntask: {steps: 7}\nenv: {set: {NCCL_DEBUG: INFO}}\n"
    )
    said = primus("--config-dir", "mine", "experiment=ours", "dry_run=json")
    assert (said.code, said.err) == (0, "")
    plan = from_json(said.out)
    assert (plan.config["data"]["name"], plan.config["task"]["steps"]) == ("mock", 7)
    assert [(v.name, v.value) for v in plan.environment[-1].variables] == [("NCCL_DEBUG", "INFO")]
    assert Path(plan.directory).parent == work / "outputs/ours"


def test_a_users_own_cluster_is_that_of_slurm_with_its_own_defaults(primus: Primus, work: Path) -> None:
    (work / "mine/runtime").mkdir(parents=True)
    (work / "mine/runtime/ours.yaml").write_text(
        "# @package _global_\n# Ours.\ndefaults:\n  - slurm\n  - _self_\nruntime: {partition: gpu, gpus_per_node: 8}\n"
    )
    said = primus("--config-dir", "mine", "runtime=ours", "task=command", "task.command=true", "dry_run=true")
    assert (said.code, said.err) == (0, "")
    assert "#SBATCH --partition=gpu\n" in said.out
    assert "#SBATCH --gpus-per-node=8\n" in said.out
