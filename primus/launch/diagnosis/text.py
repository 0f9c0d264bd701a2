"""A log to look into: its last lines, without the columns of whoever wrote them, and where in the file each is."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_TRACEBACK = "Traceback (most recent call last)"
_START = re.compile(r"^--- start \d+ of \d+, after: ")  # of primus.node: what is before was another start's end
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
_COLUMNS = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+ [A-Z]+ +\S+ (?:r\d+|agent|\S+) \| ")  # of primus.node.log
_RANK = re.compile(r"^(?:\[rank\d+\]:\s?)")  # torch puts it before every line of an uncaught exception
_LONGEST = 1000
"""Characters of a line that are looked at; a match in the middle of a longer one says nothing."""
_LAST = 60
"""Lines at the end of a log without a traceback that tell of its end."""
_LONGEST_END = 1000
"""Lines from a traceback to the end of the log; the program lived on after one that is farther from it."""
_LIVED_ON = 100
"""Lines after an exception that no longer belong to its end: a stack of C++ has some forty, once or twice."""
_LAUNCHER = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
"""In the traceback of torchrun itself, which comes after that of the rank."""
_BEFORE = 200
"""Lines before the end in which its cause may be told: NCCL and the kernel speak before Python does."""
_COUNTED = 256 << 20
"""Bytes; the number of a line is not worth reading more."""


@dataclass(frozen=True)
class Text:
    """Lines of one log. `first`: of what failed first, or the words of whoever judged that.

    `numbers` are those of the lines in the file, empty where those before byte `offset` have to be counted yet.
    """

    name: str
    lines: Sequence[str]
    first: bool
    rank: int | None = None
    node: int | None = None
    numbers: Sequence[int] = ()
    file: Path | None = None
    offset: int = 0

    @cached_property
    def begin(self) -> int:
        """Index of the first line of the last start of the ranks."""
        return max((i + 1 for i, line in enumerate(self.lines) if _START.match(line)), default=0)

    @cached_property
    def end(self) -> int:
        """Index of the line where its end begins: the last traceback with those that it is chained to."""
        starts = [i for i in self._tracebacks if i < self.launcher]
        if not starts or len(self.lines) - starts[-1] > _LONGEST_END:
            return max(self.begin, len(self.lines) - _LAST)
        begin = starts.pop()
        while starts and any(line.startswith(_CHAINED) for line in self.lines[starts[-1] : begin]):
            begin = starts.pop()
        return begin

    @cached_property
    def launcher(self) -> int:
        """Index of the line where the traceback of torchrun itself begins; after the last line where there is none."""
        last = self._tracebacks[-1] if self._tracebacks else 0
        is_its_own = any(_LAUNCHER in line for line in self.lines[last : last + _LAST])
        return last if self._tracebacks and is_its_own else len(self.lines)

    @property
    def traceback(self) -> Sequence[str]:
        """Its last traceback with those that it is chained to, and what follows; none where the program lived on.

        That of a rank which has caught an exception, and was killed many steps later, would mislead.
        """
        lines = self.lines[self.end : self.launcher]
        begin = max((i for i, line in enumerate(lines) if _TRACEBACK in line), default=None)
        if begin is None:
            return ()
        raised = next((i for i in range(begin + 1, len(lines)) if lines[i].lstrip() == lines[i] != ""), len(lines))
        return lines if len(lines) - raised <= _LIVED_ON else ()

    @cached_property
    def _tracebacks(self) -> list[int]:
        return [i for i in range(self.begin, len(self.lines)) if _TRACEBACK in self.lines[i]]

    def said(self, begin: int, end: int) -> str:
        """Those lines joined, empty ones in the place of the source code in tracebacks: it is not what happened."""
        said, quoted = [], False
        for line in self.lines[begin:end]:
            quoted = line.lstrip(" |+").startswith('File "') or (quoted and (line[:4].isspace() or not line))
            said.append("" if quoted else line)
        return "\n".join(said)

    @property
    def near(self) -> int:
        """Index of the first line that is looked at."""
        return max(self.begin, self.end - _BEFORE)

    def number(self, index: int) -> int | None:
        """The number of a line in its file, from 1; None where it has none."""
        if self.numbers:
            return self.numbers[index]
        if self.file is None or self.offset > _COUNTED:
            return None
        with self.file.open("rb") as file:
            return file.read(self.offset).count(b"\n") + index + 1


def clean(line: str) -> str:
    """A line without the columns of Primus and without torch's name of the rank."""
    return _RANK.sub("", _COLUMNS.sub("", line[: _LONGEST + 200], count=1), count=1)[:_LONGEST]


def tail(path: Path, most: int, first: bool, name: str, rank: int | None = None, node: int | None = None) -> Text:
    """The last `most` bytes of a log; without lines where it cannot be read."""
    try:
        with path.open("rb") as file:
            offset = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(offset)
            if offset:
                offset += len(file.readline(most))
            data = file.read(most)
    except OSError:
        return Text(name, (), first, rank, node)
    lines = [clean(line) for line in data.decode("utf-8", "replace").split("\n")]
    return Text(name, lines if lines[-1] else lines[:-1], first, rank, node, file=path, offset=offset)
