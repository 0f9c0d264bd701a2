"""Files that training data name are looked for before a job is queued."""

from pathlib import Path

import pytest

from primus.launch.data import check_files, check_tokenizer


def test_globs_that_match_files_pass(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one.txt").write_text("x")
    check_files("a/**/*.txt", tmp_path)
    check_files(("a/b/*", str(tmp_path / "a" / "b" / "one.txt")), tmp_path)
    check_files(None, tmp_path)


def test_a_glob_without_a_match_is_named_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "one.md").write_text("x")
    with pytest.raises(ValueError, match=r"data\.files: no file matches '\*\.txt' \(looked in "):
        check_files(("*.md", "*.txt"), tmp_path)


def test_a_directory_with_brackets_in_its_name_is_no_glob(tmp_path: Path) -> None:
    odd = tmp_path / "run[1]"
    odd.mkdir()
    (odd / "one.txt").write_text("x")
    check_files("*.txt", odd)


def test_a_tokenizer_is_bytes_or_a_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    for tokenizer in ("bytes", ".", "tokenizer.json", str(tmp_path)):
        check_tokenizer(tokenizer, tmp_path)
    with pytest.raises(ValueError, match=r"data\.tokenizer: 'byte' is neither"):
        check_tokenizer("byte", tmp_path)
