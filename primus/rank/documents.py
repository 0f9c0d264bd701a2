"""Training text by number: which files, cut into pieces where, and how to read one. Standard library alone.

Nothing is read but what is asked for, so start-up and memory do not grow with the text.
"""

import bisect
import glob
import itertools
import math
import os
import random
import sysconfig
from collections.abc import Sequence
from typing import Any, BinaryIO

from primus.rank.problems import Refused

BYTES_PER_TOKEN = 4  # about what a vocabulary learnt from text takes together
MOCK_DOCUMENTS = 100_000  # then they come again
MOCK_WORDS = 512  # in one made-up document
_WORDS = tuple("".join(letters) for letters in itertools.product("aeiou", "lnrst", "aeiou", "dgkm"))

# Not the library's own text: what was installed into it, and tests, some of which hold no text on purpose.
_NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


class Text:
    """Files cut into pieces of about `size` bytes at the ends of lines; a piece is a document of its own.

    Pieces rather than files, for a file is read in its own order: sequences next to each other in a batch would all be
    of one file.
    """

    def __init__(self, paths: Sequence[str], size: int) -> None:
        self._paths = paths
        self._size = size
        counts = (-(-os.path.getsize(path) // size) for path in paths)
        self._ends = list(itertools.accumulate(counts))  # per file: how many pieces there are up to its end

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, number: int) -> str:
        """The text of a piece; bytes that are not UTF-8 become U+FFFD."""
        file_number = bisect.bisect_right(self._ends, number)
        piece = number - (self._ends[file_number - 1] if file_number else 0)
        with open(self._paths[file_number], "rb") as file:
            start = self._boundary(file, piece)
            end = self._boundary(file, piece + 1)
            file.seek(start)
            return file.read(end - start).decode("utf-8", errors="replace")

    def _boundary(self, file: BinaryIO, piece: int) -> int:
        """Where a piece starts: at the first line from its nominal place on, or at that place if the line is long."""
        if piece == 0:
            return 0
        nominal = piece * self._size
        file.seek(nominal - 1)
        rest = file.readline(self._size + 1)
        return nominal - 1 + len(rest) if rest.endswith(b"\n") else nominal


def text_of(data: dict[str, Any], sequence_length: int) -> Text:
    """The documents of `data=text`: pieces of about one sequence. Raises Refused when files are missing."""
    per_token = 1 if data["tokenizer"] == "bytes" else BYTES_PER_TOKEN
    globs = [data["files"]] if isinstance(data["files"], str) else data["files"]
    return Text(text_files(globs), size=sequence_length * per_token)


def text_files(globs: Sequence[str] | None, key: str = "data.files") -> list[str]:
    """The files that the globs match, sorted; None: Python's own library.

    Raises Refused, naming the `key`, when one matches nothing.
    """
    if globs is None:
        return _library()
    found: set[str] = set()
    for pattern in globs:
        names = [path for path in glob.iglob(os.path.expanduser(pattern), recursive=True) if os.path.isfile(path)]
        if not names:
            raise Refused(f"{key}: no file matches {pattern!r} (looked in {os.getcwd()})")
        found.update(names)
    return sorted(found)


def held_out(number: int, share: float) -> bool:
    """Whether the document of this number (from 0) is for validation alone; `share` 0: none is.

    The rule needs neither the seed nor the count of documents: of the first n documents, for any n, n x share are held
    out, rounded half up, spread evenly. So a document stays in its part when documents are added behind it, and one
    document alone is for training.
    """
    return math.floor((number + 1) * share + 0.5) > math.floor(number * share + 0.5)


def mock_text(seed: int) -> str:
    """A made-up document, the same for the same seed."""
    return " ".join(random.Random(seed).choices(_WORDS, k=MOCK_WORDS))


def _library() -> list[str]:
    root = sysconfig.get_path("stdlib")
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_LIBRARY]
        found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    if not found:
        raise Refused(f"data.files: null is the standard library of Python, but {root} holds no .py file: give a glob")
    return sorted(found)
