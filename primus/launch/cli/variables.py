"""What `--env` gives: `NAME=value`, the `NAME` of a variable of this shell, or a file of lines of both.

AMD's launcher sources such a file, so a value in it is one word as a shell reads it; nothing is run or expanded here.
"""

import os
import re
from pathlib import Path

from primus.launch.config import reserved
from primus.launch.problems import BadRequest

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LINE = re.compile(rf"(?:export\s+)?({_NAME})(?:(=)(.*)|\s*)")
# Of one word of a shell (POSIX, 2.2): between single quotes, between double quotes, after a backslash, or plain.
_PIECE = r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\;&|<>()]++)"""
_WORD = re.compile(rf"((?:{_PIECE})*)(?:\s+#.*|\s*)")
_EXPANDED = re.compile(r"(?<!\\)(?:\\\\)*[$`]")
_OF_THE_LAUNCHER = {"NNODES": "give slurm -N <n>", "GPUS_PER_NODE": "give ranks_per_node=<n>"}
"""What lays ranks out in AMD's launcher, beside what is Primus's own."""


def stated(text: str) -> list[tuple[str, str | None]]:
    """Names with their values; None: that of this shell. Raises BadRequest, which shows no value."""
    name, equals, value = text.partition("=")
    if not equals and os.path.isfile(text):
        return _of_file(Path(text))
    if not re.fullmatch(_NAME, name):
        shown = name if equals else text
        raise BadRequest(f"--env {shown}: neither NAME=value, the NAME of a variable, nor a file that is here")
    _check(name, f"--env {name}")
    return [(name, value if equals else None)]


def _of_file(path: Path) -> list[tuple[str, str | None]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise BadRequest(f"--env {path}: it is no text in UTF-8, so no file of variables") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and line.strip()[0] != "#":
            found.append(_of_line(line.strip(), f"--env {path}: line {number}"))
    return found


def _of_line(line: str, where: str) -> tuple[str, str | None]:
    match = _LINE.fullmatch(line)
    if not match:
        raise BadRequest(f"{where} is neither NAME=value nor the NAME of a variable")
    name, equals, value = match.groups()
    _check(name, where)
    return name, _word(value, f"{where}: {name}") if equals else None


def _word(text: str, where: str) -> str:
    """What a shell makes of one word. Raises BadRequest for several, and for what a shell would expand."""
    match = _WORD.fullmatch(text)
    if not match:
        raise BadRequest(f"{where}: its value is not one word of a shell: quote spaces and any of ; & | < > ( ) ' \"")
    pieces = [piece.groups() for piece in re.finditer(_PIECE, match[1])]
    unquoted = [text for _, double, _, plain in pieces for text in (double, plain) if text]
    if text[:1] == "~" or any(map(_EXPANDED.search, unquoted)):
        raise BadRequest(f"{where}: $, ` and ~ are not expanded: write out what it stands for, or quote it with '")
    return "".join(
        re.sub(r'\\([$`"\\])', r"\1", double) if double is not None else single or escaped or plain or ""
        for single, double, escaped, plain in pieces
    )


def _check(name: str, where: str) -> None:
    """Raise BadRequest for a variable that would be overruled."""
    reserved.check(name, where)
    if name in _OF_THE_LAUNCHER:
        raise BadRequest(f"{where}: Primus does not lay out ranks by {name}: {_OF_THE_LAUNCHER[name]}")
