"""The git commit is read from git's files: a dry run starts no process."""

import shutil
from pathlib import Path

import pytest

from primus.launch import place
from primus.node import process
from primus.node.plan import Code


def git(directory: Path, *words: str) -> str:
    who = [
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@y",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "protocol.file.allow=always",
    ]
    answer = process.ask(["git", "-C", str(directory), *who, *words], 20.0)
    assert answer is not None, words
    return answer.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "inside/deep").mkdir(parents=True)
    (root / "inside/file").write_text("x")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "x")
    return root


def same(directory: Path, root: Path) -> None:
    assert place.code(directory) == Code(str(root), git(directory, "rev-parse", "HEAD"))


def test_on_a_branch_from_anywhere_inside(checkout: Path) -> None:
    same(checkout, checkout)
    same(checkout / "inside/deep", checkout)


def test_on_no_branch(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")
    same(checkout, checkout)


def test_with_references_in_one_file(checkout: Path) -> None:
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()
    same(checkout, checkout)


def test_in_a_worktree(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    (tmp_path / "tree/more").write_text("x")
    git(tmp_path / "tree", "add", ".")
    git(tmp_path / "tree", "commit", "-qm", "more")
    same(tmp_path / "tree", tmp_path / "tree")
    git(checkout, "pack-refs", "--all")
    same(tmp_path / "tree", tmp_path / "tree")


def test_in_a_submodule(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    git(checkout, "submodule", "add", "-q", str(other), "sub")
    same(checkout / "sub/inside", checkout / "sub")


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert place.code(tmp_path) == Code(str(tmp_path), None)


def test_outside_of_git_the_directory_is_all_there_is(tmp_path: Path) -> None:
    assert place.code(tmp_path) == Code(str(tmp_path), None)


def test_run_ids_sort_by_time_and_differ() -> None:
    ids = [place.new_run_id() for _ in range(100)]
    assert len({*ids}) == 100
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)
