"""Directories of a job: what is there, what will be made, and what cannot be."""

import os
from pathlib import Path

import pytest

from primus.node.checks import storage
from primus.node.checks.finding import Directory, Finding, Settings


def settings(path: Path | str, engine: str | None = None, free: float = 0.0) -> Settings:
    checkpoint = Directory("checkpoint", str(path), True)
    return Settings("r", 60.0, ("storage",), "auto", None, (), (checkpoint,), free, 0, None, (), False, engine)


def only(asked: Settings) -> Finding:
    (found,) = storage.check(asked, 0).findings
    return found


def test_a_directory_that_the_job_will_make_is_judged_by_the_nearest_above_it(tmp_path: Path) -> None:
    found = only(settings(tmp_path / "a/b"))
    assert found.level == "info"
    assert found.seen.startswith(f"{tmp_path}/a/b, to be made in {tmp_path}: ")
    assert only(settings(tmp_path / "a/b", free=1e9)).level == "warn"
    assert os.listdir(tmp_path) == [".primus-preflight-r-0"]


def test_one_that_cannot_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = only(settings(tmp_path / "file/a"))
    assert (found.level, found.seen) == ("fail", f"{tmp_path}/file/a, to be made in {tmp_path}/file: not a directory")
    (tmp_path / "link").symlink_to("nowhere")
    assert only(settings(tmp_path / "link")).level == "fail"


def test_nodes_see_that_they_would_make_it_in_different_places(tmp_path: Path) -> None:
    asked = settings(tmp_path / "a/b")
    storage.check(asked, 0)
    storage.check(asked, 1)
    assert storage.shared(asked, 1, others=1).findings == []
    storage.unmark(asked, 0)
    (found,) = storage.shared(asked, 1, others=1).findings
    assert (found.level, found.seen) == ("fail", f"{tmp_path}/a/b is another one than that of node 0")
    storage.unmark(asked, 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("engine", "level"), [("docker", "fail"), (None, "info")])
def test_one_that_a_job_would_make_in_the_image_is_not_mounted(engine: str | None, level: str, tmp_path: Path) -> None:
    if os.stat(tmp_path).st_dev != os.stat("/").st_dev:
        pytest.skip("the directories of tests are on a file system of their own")
    assert only(settings(tmp_path / "a", engine)).level == level
