"""Files that training data name are looked for before a job is queued."""

from pathlib import Path

import pytest

from primus.launch.data import check_data, check_files, check_tokenizer
from tests import neutral


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


def pair(prefix: Path) -> None:
    for suffix in (".bin", ".idx"):
        prefix.with_name(prefix.name + suffix).touch()


def test_token_files_are_pairs_named_by_their_prefix(tmp_path: Path) -> None:
    pair(tmp_path / "corpus.v1")
    pair(tmp_path / "more")
    check_data(neutral.data("megatron", paths=["corpus.v1", str(tmp_path / "more")]), tmp_path)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("corpus.v1.bin", r"there is no corpus\.v1\.bin\.bin .* Did you mean 'corpus\.v1', without the ending\?"),
        ("corpus.v2", r"there is no corpus\.v2\.bin .* Did you mean 'corpus\.v1'\?"),
        ("half", r"there is no half\.idx \(looked in .*\)\.$"),
        (["corpus.v1", "sub/corpus"], r"there is no sub/corpus\.bin"),
    ],
)
def test_a_missing_token_file_is_named_with_the_one_that_may_be_meant(
    tmp_path: Path, paths: str | list[str], message: str
) -> None:
    pair(tmp_path / "corpus.v1")
    (tmp_path / "half.bin").touch()
    with pytest.raises(ValueError, match=r"^data\.paths: " + message):
        check_data(neutral.data("megatron", paths=paths), tmp_path)


@pytest.mark.parametrize("split", [[], [0, 0, 0], [98, -2], [1, 1, 1, 1]])
def test_a_split_that_weighs_nothing_is_refused(tmp_path: Path, split: list[float]) -> None:
    pair(tmp_path / "a")
    with pytest.raises(ValueError, match=r"data\.split: .* must be the weights of training, validation and test"):
        check_data(neutral.data("megatron", paths="a", split=split), tmp_path)


def test_a_share_of_a_streamed_data_set_cannot_be_held_out(tmp_path: Path) -> None:
    check_data(neutral.data("hf"), tmp_path)
    check_data(neutral.data("hf", validation_split=None, held_out=0), tmp_path)
    check_data(neutral.data("hf", validation_split=None, streaming=False), tmp_path)
    with pytest.raises(ValueError, match=r"data\.validation_split: null .* name a split"):
        check_data(neutral.data("hf", validation_split=None), tmp_path)
