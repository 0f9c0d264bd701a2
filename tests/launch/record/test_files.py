"""What of a run directory is read: files of its own."""

import os
from pathlib import Path

import pytest

from primus.launch.record import files


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory beside a file of the user's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/rank-0.jsonl").write_text("private")
    (tmp_path / "run/metrics").mkdir(parents=True)
    return tmp_path / "run"


def test_a_file_of_the_run_is_its_own_also_where_the_run_is_reached_by_a_link(run: Path) -> None:
    (run / "metrics/rank-0.jsonl").write_text("")
    (run.parent / "link").symlink_to(run)
    (run / "inside").symlink_to("metrics/rank-0.jsonl")
    assert files.own(run, "metrics/rank-0.jsonl") == run / "metrics/rank-0.jsonl"
    assert files.own(run.parent / "link", "metrics/rank-0.jsonl")
    assert files.own(run, "inside")


def test_what_a_link_or_a_name_leads_to_outside_of_the_run_is_not(run: Path) -> None:
    (run / "file").symlink_to("../mine/rank-0.jsonl")
    (run / "folder").symlink_to("../mine")
    outside = run.parent / "mine/rank-0.jsonl"
    for name in ("file", "folder/rank-0.jsonl", "../mine/rank-0.jsonl", str(outside), outside):
        assert files.own(run, name) is None


def test_a_pipe_a_folder_and_what_is_no_name_at_all_are_no_files(run: Path) -> None:
    os.mkfifo(run / "pipe")
    (run / "round").symlink_to("round")
    for name in ("pipe", "metrics", "none", "round", "x" * 5000, "a\0b", "\ud800"):
        assert files.own(run, name) is None


def test_metrics_are_files_and_neither_links_nor_pipes(run: Path) -> None:
    (run / "metrics/rank-1.jsonl").write_text("")
    (run / "metrics/node-0.jsonl").write_text("")
    (run / "metrics/rank-0.jsonl").symlink_to("../../mine/rank-0.jsonl")
    os.mkfifo(run / "metrics/rank-2.jsonl")
    assert files.rank_files(run) == {1: run / "metrics/rank-1.jsonl"}
    assert files.host_files(run) == {0: run / "metrics/node-0.jsonl"}


def test_a_folder_of_metrics_that_is_elsewhere_has_none(run: Path) -> None:
    (run / "metrics").rmdir()
    assert files.rank_files(run) == {}
    (run / "metrics").symlink_to("../mine")
    assert files.rank_files(run) == {}
