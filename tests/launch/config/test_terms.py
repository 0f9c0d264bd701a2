"""The YAML files of model, data and task hold exactly the keys of their dataclasses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.config.terms.data import DATA
from primus.launch.config.terms.model import Model
from primus.launch.task.train.pretrain import Settings as Pretrain
from primus.node.typed import DataError, read

CONF = Path(__file__).parents[3] / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def load(name: str) -> dict[str, Any]:
    content = yaml.safe_load((CONF / name).read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_complete_and_named_like_its_file(name: str) -> None:
    assert read(Model, load(f"model/{name}.yaml")).name == name


@pytest.mark.parametrize("name", [name for name in MODELS if name != "tiny"])
def test_every_published_model_names_its_published_config(name: str) -> None:
    second = (CONF / f"model/{name}.yaml").read_text().splitlines()[1]
    assert second.startswith("# https://huggingface.co/")
    assert second.endswith("/config.json")


@pytest.mark.parametrize("name", [name for name in MODELS if "llama3" in name])
def test_llama_3_stretches_positions_exactly_where_its_context_is_longer_than_the_original_one(name: str) -> None:
    model = read(Model, load(f"model/{name}.yaml"))
    assert (model.rope_scaling is not None) == (model.context == 131072)
    assert model.rope_scaling is None or model.rope_scaling.original_context == 8192


def test_a_stretch_of_positions_is_named_by_key_where_it_is_wrong() -> None:
    model = load("model/llama3.1_8b.yaml")
    model["rope_scaling"] = {**model["rope_scaling"], "factor": 0.5, "low_freq_factor": 1.0}
    with pytest.raises(DataError) as refused:
        read(Model, model, "model")
    assert "model.rope_scaling.factor: 0.5 is less than 1" in str(refused.value)
    assert "model.rope_scaling.low_freq_factor: no such key" in str(refused.value)
    assert "Did you mean 'low_frequency_factor'?" in str(refused.value)


@pytest.mark.parametrize("name", sorted(DATA))
def test_every_kind_of_data_has_a_file_with_all_its_defaults(name: str) -> None:
    assert read(DATA[name], load(f"data/{name}.yaml")).name == name


def test_the_pretraining_task_is_complete() -> None:
    assert read(Pretrain, load("task/train/pretrain.yaml")).name == "train/pretrain"


def test_files_may_be_one_glob_or_several() -> None:
    for files in ("a/*.txt", ["a/*.txt", "b/**/*.md"]):
        data = read(DATA["text"], load("data/text.yaml") | {"files": files})
        assert data.files == (files if isinstance(files, str) else tuple(files))  # type: ignore[union-attr]  # text


def test_a_learning_rate_of_nothing_is_refused_by_name() -> None:
    task = load("task/train/pretrain.yaml")
    task["optimizer"]["lr"] = 0
    with pytest.raises(DataError, match=r"task\.optimizer\.lr: 0\.0 must be above 0"):
        read(Pretrain, task, "task")
