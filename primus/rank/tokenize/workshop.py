"""What the ranks share while they work, in one folder beside the output: the units, how far each rank is, results.

A rank that is done with a unit leaves it as a pair of token files; rank 0 appends them in order. The folder must be on
a file system that all nodes see, as the output itself.
"""

import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from primus.rank.indexed import Writer
from primus.rank.progress import beat
from primus.rank.tokenize.reading import Piece

_TICK = 0.05
"""Seconds between two looks at what another rank has done."""


class Workshop:
    """The folder, as one rank sees it."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._folder = folder
        self._units = folder / "units.json"
        self._read = folder / f"read-{rank}"

    def open(self, units: list[list[Piece]]) -> None:
        """Rank 0: make the folder and say what the units are."""
        self._folder.mkdir(parents=True)
        partial = self._units.with_suffix(".partial")
        partial.write_text(json.dumps([[asdict(piece) for piece in unit] for unit in units]), encoding="utf-8")
        partial.replace(self._units)

    def close(self) -> None:
        """Rank 0: remove the folder with all that is in it."""
        shutil.rmtree(self._folder, ignore_errors=True)  # another rank that is being ended may still write there

    def await_units(self, over: Path) -> list[list[Piece]]:
        """The other ranks: what the units are, once rank 0 has said it; none when the file `over` is there instead."""
        while not self._units.exists():
            if over.exists():
                return []
            time.sleep(_TICK)
        return [[Piece(**piece) for piece in unit] for unit in json.loads(self._units.read_text(encoding="utf-8"))]

    def prefix(self, unit: int) -> str:
        """Of the token files of a unit."""
        return str(self._folder / f"{unit:06d}")

    def say_read(self, count: int) -> None:
        """Tell how many bytes this rank has read."""
        partial = self._read.with_suffix(".partial")
        beat("tokenizing")
        partial.write_text(str(count), encoding="ascii")
        partial.replace(self._read)

    def read_by_all(self) -> int:
        """How many bytes all ranks have read."""
        return sum(int(path.read_text(encoding="ascii")) for path in self._folder.glob("read-*[0-9]"))


class Joined(Writer):
    """The units in one pair of token files, appended in their order as they become complete."""

    def __init__(self, workshop: Workshop, units: int, dtype: "np.dtype[Any]") -> None:
        super().__init__(workshop.prefix(units), dtype)
        self._left = [workshop.prefix(unit) for unit in reversed(range(units))]

    def advance(self) -> bool:
        """Append what is complete, and remove it; whether there is more to come."""
        while self._left and os.path.exists(f"{self._left[-1]}.idx"):
            prefix = self._left.pop()
            beat("joining the parts")
            self.append(prefix)
            os.remove(f"{prefix}.idx")
            os.remove(f"{prefix}.bin")
        return bool(self._left)


def publish(prefix: str, output: str) -> None:
    """Move a complete pair to where it is to be. At no moment is there an .idx whose .bin is another or not whole."""
    for suffix in (".bin", ".idx"):
        with open(prefix + suffix, "rb") as file:
            os.fsync(file.fileno())
    Path(f"{output}.idx").unlink(missing_ok=True)
    for suffix in (".bin", ".idx"):
        os.replace(prefix + suffix, output + suffix)
