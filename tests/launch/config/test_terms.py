"""The YAML files of model, data and task hold exactly the keys of their dataclasses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.config.terms import DATA, Model, Pretrain
from primus.node.typed import DataError, read

CONF = Path(__file__).parents[3] / "conf"


def load(name: str) -> dict[str, Any]:
    content = yaml.safe_load((CONF / name).read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_is_complete_and_named_like_its_file(path: Path) -> None:
    assert read(Model, load(f"model/{path.name}")).name == path.stem


@pytest.mark.parametrize("name", sorted(DATA))
def test_every_kind_of_data_has_a_file_with_all_its_defaults(name: str) -> None:
    assert read(DATA[name], load(f"data/{name}.yaml")).name == name


def test_the_pretraining_task_is_complete() -> None:
    assert read(Pretrain, load("task/train/pretrain.yaml")).name == "train/pretrain"


def test_files_may_be_one_glob_or_several() -> None:
    for files in ("a/*.txt", ["a/*.txt", "b/**/*.md"]):
        data = read(DATA["text"], load("data/text.yaml") | {"files": files})
        assert data.files == (files if isinstance(files, str) else tuple(files))  # type: ignore[union-attr]


def test_a_learning_rate_of_nothing_is_refused_by_name() -> None:
    task = load("task/train/pretrain.yaml")
    task["optimizer"]["lr"] = 0
    with pytest.raises(DataError, match=r"task\.optimizer\.lr: 0\.0 must be above 0"):
        read(Pretrain, task, "task")


def test_parameters_are_counted_by_the_closed_form() -> None:
    model = read(Model, load("model/tiny.yaml"))
    # query and output, key and value, three FFN matrices, two norms
    layer = 2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 688 + 2 * 256
    assert model.parameters == 2 * 258 * 256 + 4 * layer + 256
