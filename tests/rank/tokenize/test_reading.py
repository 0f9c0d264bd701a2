"""Documents out of files: the same however the files are cut."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from primus.rank.problems import Refused
from primus.rank.tokenize.reading import Format, Piece, cut, documents

LINES, FILES = Format("text", "line"), Format("text", "file")
TEXTS = ["first", "second, longer than the others by far, so that pieces end within it", "", "é 日本", "last"]


def texts(path: Path, size: int, form: Format) -> list[str]:
    """The documents of a file that is cut into units of this size."""
    units = cut([(str(path), path.stat().st_size)], size, form)
    return [document.text for unit in units for piece in unit for document in documents(piece, form)]


@pytest.mark.parametrize("size", [1, 3, 10, 64, 10_000])
def test_lines_are_documents_once_each_wherever_the_file_is_cut(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS))
    assert texts(path, size, LINES) == [text for text in TEXTS if text]
    path.write_bytes("\r\n".join(TEXTS).encode() + b"\r\n\r\n")
    assert texts(path, size, LINES) == [text for text in TEXTS if text]


@pytest.mark.parametrize("size", [1, 3, 10, 64, 10_000])
@pytest.mark.parametrize("form", [LINES, FILES])
def test_json_lines_hold_a_document_each(tmp_path: Path, size: int, form: Format) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": number, "text": text + "\n"} for number, text in enumerate(TEXTS)]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert texts(path, size, form) == [text + "\n" for text in TEXTS]


def test_a_file_of_text_is_a_document_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\ntwo \xff\n")
    assert texts(path, 1, FILES) == ["one\r\n\ntwo \ufffd\n"]


def test_compressed_files_are_read_as_what_is_in_them(tmp_path: Path) -> None:
    content = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content) + gzip.compress(content))
    frame = zstandard.ZstdCompressor().compress(content)
    (tmp_path / "a.jsonl.zst").write_bytes(frame + frame)
    expected = [text for text in TEXTS if text] * 2
    assert texts(tmp_path / "a.jsonl.gz", 10, LINES) == expected
    assert texts(tmp_path / "a.jsonl.zst", 10, LINES) == expected


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_compressed_file_that_is_broken_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(gzip.compress(b"x" * 10_000)[:-20] if ending == ".gz" else b"no frame of zstd")
    with pytest.raises(Refused, match=rf"a\.txt\{ending} cannot be decompressed: "):
        texts(path, 100, LINES)


def test_positions_say_how_far_a_piece_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\nthree\n")
    assert [found.position for found in documents(Piece(str(path), 4, 14), LINES)] == [8, 14]


def test_units_keep_the_order_of_the_files_and_hold_small_ones_together() -> None:
    files = [("a.txt", 40), ("empty.txt", 0), ("b.txt", 50), ("c.jsonl", 250), ("d.jsonl.gz", 250), ("e.txt", 10)]
    assert cut(files, 100, FILES) == [
        [Piece("a.txt", 0, 40), Piece("b.txt", 0, 50)],
        [Piece("c.jsonl", 0, 100)],
        [Piece("c.jsonl", 100, 200)],
        [Piece("c.jsonl", 200, 250)],
        [Piece("d.jsonl.gz", 0, 250)],
        [Piece("e.txt", 0, 10)],
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "x"', "no JSON: Expecting ',' delimiter"),
        (b'{"text": "\xff"}', "no JSON: 'utf-8' codec can't decode"),
        (b'["x"]', "a list, where an object with the key 'text' should be"),
        (
            b'{"texts": "x", "id": 1}',
            r"no key 'text' \(task\.text_key\); there are: texts, id\. Did you mean 'texts'\?",
        ),
        (b'{"text": null}', "the value of 'text' is no text: null"),
    ],
)
@pytest.mark.parametrize("size", [5, 10_000])
def test_a_line_that_holds_no_text_is_named_by_file_and_number(
    tmp_path: Path, size: int, line: bytes, message: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' * 6 + b"\n" + line + b'\n{"text": "fine"}\n')
    with pytest.raises(Refused, match=rf"a\.jsonl, line 8: {message}"):
        texts(path, size, LINES)


def test_half_a_surrogate_pair_becomes_the_mark_of_bad_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\\ud83d b \\ud83d\\ude00"}\n')
    assert texts(path, 100, LINES) == ["a\ufffd b \U0001f600"]
