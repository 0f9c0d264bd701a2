"""Training text by number."""

import itertools
import sysconfig
from pathlib import Path

import pytest

from primus.rank.documents import Text, held_out, mock_text, text_files
from primus.rank.problems import Refused


def whole(text: Text) -> str:
    return "".join(text.read(number) for number in range(len(text)))


@pytest.mark.parametrize("size", [1, 7, 16, 64, 1000])
def test_the_pieces_of_files_together_are_the_files(tmp_path: Path, size: int) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_text("one\ntwo\n\nthree and a longer line than the others are\nend")
    second.write_text("x" * 200 + "\nshort\n")
    (tmp_path / "3.txt").write_text("")
    assert whole(Text([str(first), str(tmp_path / "3.txt"), str(second)], size)) == (
        first.read_text() + second.read_text()
    )


def test_a_piece_begins_and_ends_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {n}\n" for n in range(100)))
    text = Text([str(path)], 50)
    pieces = [text.read(number) for number in range(len(text))]
    assert all(piece.startswith("line") and piece.endswith("\n") for piece in pieces)
    assert max(map(len, pieces)) < 60


def test_a_file_without_lines_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "one-line.json"
    path.write_text("x" * 10_000)
    text = Text([str(path)], 100)
    assert max(len(text.read(number)) for number in range(len(text))) == 100


def test_bytes_that_are_no_text_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"a\xffb")
    assert Text([str(path)], 100).read(0) == "a\ufffdb"


def test_globs_descend_and_name_each_file_once_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", "a/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = text_files([f"{tmp_path}/**/*.txt", f"{tmp_path}/*.txt"])
    assert [Path(path).name for path in found] == ["c.txt", "b.txt"]


def test_a_glob_without_a_match_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"data\.files: no file matches '.*/\*\.txt'") as refused:
        text_files([f"{tmp_path}/*.txt"])
    assert refused.value.exit_code == 2


def test_no_glob_is_the_source_of_the_standard_library_alone() -> None:
    found = text_files(None)
    root = sysconfig.get_path("stdlib")
    assert f"{root}/json/decoder.py" in found
    assert not [path for path in found if "site-packages" in path or "/test/" in path]
    assert found == sorted(found)


def test_a_made_up_document_is_the_same_for_the_same_number() -> None:
    assert mock_text(3) == mock_text(3)
    assert mock_text(3) != mock_text(4)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.1, 0.29, 1 / 3, 0.5])
def test_of_the_first_documents_the_share_is_held_out_and_spread_evenly(share: float) -> None:
    numbers = [number for number in range(10_000) if held_out(number, share)]
    assert all(
        sum(number < count for number in numbers) == int(count * share + 0.5) for count in (1, 7, 100, 999, 10_000)
    )
    gaps = {after - before for before, after in itertools.pairwise(numbers)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_single_document_is_for_training() -> None:
    assert not held_out(0, 0.02)
