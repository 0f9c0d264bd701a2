"""Where a value came from: the word that was typed, else the file and line."""

from pathlib import Path

import pytest

from primus.launch.config import catalog
from primus.launch.config.origin import Origins

CONF = catalog.conf_dir()


def origins(*overrides: str, directories: tuple[Path, ...] = (CONF,), **chosen: str) -> Origins:
    return Origins(overrides, directories, {"task": "train/pretrain", "experiment": "default", **chosen})


def line_of(path: Path, text: str) -> int:
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(text))


def test_the_last_word_on_the_command_line_that_set_it() -> None:
    typed = origins("task.steps=1", "++task.steps=2", "task.seed=3")
    assert typed.of("task.steps") == "command line: ++task.steps=2"


@pytest.mark.parametrize("key", ["task.optimizer.lr", "task.optimizer.betas[0]", "task.optimizer"])
def test_a_whole_mapping_sets_all_that_is_in_it(key: str) -> None:
    assert origins("task.optimizer={lr: 1}").of(key) == "command line: task.optimizer={lr: 1}"


def test_what_is_wrong_with_a_mapping_may_be_one_value_of_it() -> None:
    assert origins("task.parallel.tensor=2").of("task.parallel") == "command line: task.parallel.tensor=2"


def test_a_key_that_only_begins_alike_is_another() -> None:
    assert "command line" not in origins("task.step=1").of("task.steps")


def test_the_choice_of_a_group_is_not_where_its_values_come_from() -> None:
    file = CONF / "task/train/pretrain.yaml"
    assert origins("task=train/pretrain").of("task.steps") == f"{file}:{line_of(file, 'steps:')}"


def test_the_file_of_the_choice_with_the_line_of_a_nested_key() -> None:
    file = CONF / "task/train/pretrain.yaml"
    assert origins().of("task.optimizer.lr") == f"{file}:{line_of(file, '  lr:')}"


def test_an_experiment_wins_over_the_other_groups() -> None:
    file = CONF / "experiment/quick.yaml"
    assert origins(experiment="quick").of("task.steps") == f"{file}:{line_of(file, '  steps:')}"


def test_a_key_of_no_group_is_in_the_main_file() -> None:
    file = CONF / "config.yaml"
    assert origins().of("tracking.wait") == f"{file}:{line_of(file, '  wait:')}"


def test_a_users_file_wins_over_primuss_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/books.yaml").write_text("# Books.\nname: text\nfiles: 3\n")
    assert origins(directories=(tmp_path, CONF), data="books").of("data.files") == f"{tmp_path}/data/books.yaml:3"


def test_what_nothing_set_has_no_origin() -> None:
    assert origins().of("task.no_such_key") == ""


def test_a_secret_is_not_repeated() -> None:
    assert origins("++env.set.HF_TOKEN='hf_x'").of("env.set.HF_TOKEN") == "command line: env.set.HF_TOKEN=<secret>"
