"""Text documents out of files. A file is cut into pieces where its documents are lines, so that ranks share it."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import IO, Any, cast

from primus.node.typed import closest
from primus.rank.problems import UNFIT, Refused

_COMPRESSED = (".gz", ".zst")
_JSON_LINES = (".jsonl", ".json", ".ndjson")


@dataclass(frozen=True)
class Piece:
    """The documents of a file that begin at bytes `start` to `end`; of one that cannot be cut, all of them."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class Format:
    """What a document is: of JSON lines the text under `text_key`; of text files a `file`, or a `line`."""

    text_key: str
    document: str


@dataclass(frozen=True)
class Document:
    """`position`: how far the piece is read with it, in bytes of the file as it lies."""

    text: str
    position: int


def cut(files: Iterable[tuple[str, int]], size: int, form: Format) -> list[list[Piece]]:
    """Units of work of about `size` bytes each, in the order of the files; `files` are paths and their sizes."""
    units: list[list[Piece]] = []
    filled = size
    for path, length in files:
        step = size if _can_be_cut(path, form) else max(1, length)
        for start in range(0, length, step):
            piece = Piece(path, start, min(start + step, length))
            if filled + piece.end - piece.start > size:
                units.append([])
                filled = 0
            units[-1].append(piece)
            filled += piece.end - piece.start
    return units


def documents(piece: Piece, form: Format) -> Iterator[Document]:
    """The documents of a piece that are not empty.

    Raises Refused, with file and line, for what is no JSON or has no text, and for a file that cannot be decompressed.
    """
    with _opened(piece.path) as (file, position):
        if not (_is_json(piece.path) or form.document == "line"):
            text = file.read().decode("utf-8", errors="replace")
            if text:
                yield Document(text, position())
            return
        for number, line in enumerate(_lines(file, piece)):
            try:
                text = _text_of(line, form.text_key) if _is_json(piece.path) else _plain(line)
            except ValueError as error:
                raise Refused(f"{piece.path}, line {_before(piece) + number + 1}: {error}") from None
            if text:
                yield Document(text, position())


def _lines(file: IO[bytes], piece: Piece) -> Iterator[bytes]:
    """The lines that begin in the piece. What comes out of a compressed file has another length: all its lines."""
    if piece.path.endswith(_COMPRESSED):
        yield from file
        return
    place = _first_line(file, piece)
    while place < piece.end and (line := file.readline()):
        place += len(line)
        yield line


def _first_line(file: IO[bytes], piece: Piece) -> int:
    """Where the first line that begins in the piece begins; `file` is there then."""
    if piece.start:
        file.seek(piece.start - 1)
        file.readline()
    return file.tell()


def _before(piece: Piece) -> int:
    """How many lines the file has before those of the piece."""
    if piece.start == 0:
        return 0
    with open(piece.path, "rb") as file:
        end = _first_line(file, piece)
        file.seek(0)
        return sum(file.read(min(1 << 20, end - place)).count(b"\n") for place in range(0, end, 1 << 20))


def _plain(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", errors="replace")


def _text_of(line: bytes, key: str) -> str:
    """The text of a line of JSON, empty for an empty line. Raises ValueError."""
    if line.isspace():
        return ""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"a {type(record).__name__}, where an object with the key {key!r} should be")
    if key not in record:
        raise ValueError(f"no key {key!r} (task.text_key); there are: {', '.join(record)}.{closest(key, record)}")
    text = record[key]
    if not isinstance(text, str):
        raise ValueError(f"the value of {key!r} is no text: {json.dumps(text)[:40]}")
    return _whole(text)


def _whole(text: str) -> str:
    """JSON can hold half a surrogate pair (`"\\ud83d"`), which no tokenizer takes: U+FFFD, as in any bad UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_json(path: str) -> bool:
    return path.removesuffix(".gz").removesuffix(".zst").endswith(_JSON_LINES)


def _can_be_cut(path: str, form: Format) -> bool:
    return not path.endswith(_COMPRESSED) and (_is_json(path) or form.document == "line")


@contextmanager
def _opened(path: str) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The file, decompressed by the ending of its name, and how many of its bytes have been read so far."""
    with open(path, "rb") as raw:
        if path.endswith(".gz"):
            with _decompressing(path, (gzip.BadGzipFile, EOFError, zlib.error)), gzip.open(raw) as file:
                yield cast(IO[bytes], file), raw.tell
        elif path.endswith(".zst"):
            zstandard = _zstandard()
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
            with _decompressing(path, zstandard.ZstdError), BufferedReader(stream) as file:
                yield file, raw.tell
        else:
            yield raw, raw.tell


@contextmanager
def _decompressing(path: str, errors: type[Exception] | tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise Refused(f"{path} cannot be decompressed: {error}") from None


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise Refused("reading .zst needs the package zstandard: pip install zstandard", UNFIT) from None
    return zstandard
