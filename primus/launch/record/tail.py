"""Read files of JSON lines while they grow: whole lines only, each once, from a remembered position."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.node.progress import step_of

PIECE = 1 << 20
"""Bytes read at a time: bounds the memory of a recorder that comes late to a long run."""

_MARK = 64
"""Bytes before a position by which a file that was written anew is told from one that has grown."""


@dataclass(frozen=True)
class Position:
    """How far a file has been read: bytes (always the start of a line) and lines.

    `mark` is a checksum of the last bytes before it, None where it is not known.
    """

    bytes: int = 0
    lines: int = 0
    mark: int | None = None


@dataclass(frozen=True)
class Line:
    """One line: its object, or None where it is broken, and the position after it."""

    value: dict[str, Any] | None
    after: Position


def read(path: Path, start: Position, most: int = PIECE, over: bool = False) -> list[Line]:
    """The whole lines from `start` on, up to about `most` bytes; none when there is nothing new or no such file.

    A last line without its newline is left for the next time; with `over`, when nothing writes any more, it is read
    where it lacks nothing else. A file that was truncated or written anew since is read
    from its beginning: what is recorded twice is one point in MLflow, what is passed over would be lost.
    """
    known = min(start.bytes, _MARK)
    try:
        with path.open("rb") as file:
            file.seek(start.bytes - known)
            before, data = file.read(known), file.read(most)
            if data and b"\n" not in data:
                data += file.readline()
    except FileNotFoundError:
        return []
    if len(before) < known or (start.mark is not None and zlib.crc32(before) != start.mark):
        return read(path, Position(), most, over)
    if over and b"\n" not in data and (value := _object(data)) is not None:
        mark = zlib.crc32((before + data)[-_MARK:])
        return [Line(value, Position(start.bytes + len(data), start.lines + 1, mark))]
    lines, at, whole = [], known, before + data[: data.rfind(b"\n") + 1]
    for number, text in enumerate(whole[known:].split(b"\n")[:-1], start.lines + 1):
        at += len(text) + 1
        mark = zlib.crc32(whole[max(0, at - _MARK) : at])
        lines.append(Line(_object(text), Position(start.bytes - known + at, number, mark)))
    return lines


def rest(path: Path, start: Position) -> int:
    """Bytes after `start`: once nothing writes any more, a last line that was cut off."""
    try:
        return max(0, path.stat().st_size - start.bytes)
    except FileNotFoundError:
        return 0


def last_objects(path: Path, most: int = 1 << 16) -> list[dict[str, Any]]:
    """The sound lines among the last `most` bytes of a file: a last one that lacks nothing but its newline too."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            data = file.read()
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")
    if size > most:
        lines = lines[1:]
    return [value for value in map(_object, lines) if value is not None]


def numbers(value: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line: its numbers, without its time, its step, and how many steps there are (`of`)."""
    return {
        name: float(number)
        for name, number in value.items()
        if name not in ("time", "step", "of")
        and isinstance(number, (int, float))
        and not isinstance(number, bool)
        and (isinstance(number, float) or abs(number) < 1 << 1000)  # Python reads whole numbers of any length
    }


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not _in(value.get("time"), 1e11) or not _in(value.get("step", 0), 2**62):
        return None
    if (step := step_of(value)) is not None:
        value["step"] = step
    return value


def _in(value: Any, most: float) -> bool:
    """Whether it is a number that a database can keep: NaN is in no range."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
