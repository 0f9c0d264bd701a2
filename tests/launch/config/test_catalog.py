"""What can be chosen is read from the folders of conf/, Primus's own and the user's."""

from pathlib import Path

import pytest

from primus.launch.config import catalog
from primus.launch.config.catalog import Choice


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_conf_lies_beside_the_package_in_a_source_tree() -> None:
    assert catalog.conf_dir() == Path(__file__).parents[3] / "conf"


def test_every_group_has_a_choice() -> None:
    for group in catalog.GROUPS:
        assert catalog.choices(group, [catalog.conf_dir()]), group


def test_a_choice_in_a_folder_has_the_folder_in_its_name() -> None:
    assert "train/pretrain" in catalog.choices("task", [catalog.conf_dir()])


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("# One line.\nname: x\n", "One line."),
        ("# @package _global_\n# After a directive to Hydra.\nname: x\n", "After a directive to Hydra."),
        ("name: x\n# too late\n", ""),
        ("\n#\n#   Indented.\n", "Indented."),
        ("", ""),
    ],
)
def test_the_first_comment_describes_a_choice(tmp_path: Path, text: str, summary: str) -> None:
    assert Choice("x", write(tmp_path / "x.yaml", text)).summary == summary


def test_a_users_choices_stand_beside_primuss_own_and_win_over_them(tmp_path: Path) -> None:
    mine = write(tmp_path / "model/tiny.yaml", "# Mine.\n")
    write(tmp_path / "model/big.yaml", "# Big.\n")
    found = catalog.choices("model", [tmp_path, catalog.conf_dir()])
    assert found["tiny"].path == mine
    assert found["big"].summary == "Big."
    assert list(found) == sorted(found)


def test_a_users_own_groups_come_last_and_hydras_are_not_shown(tmp_path: Path) -> None:
    for name in ("cluster/here", "model/big", "hydra/launcher/mine", "empty/x"):
        write(tmp_path / f"{name}.yaml", "")
    (tmp_path / "empty/x.yaml").unlink()
    assert catalog.groups([tmp_path, catalog.conf_dir()]) == [*catalog.GROUPS, "cluster"]
