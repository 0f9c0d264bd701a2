"""A log that did not come from Primus: of torchrun, srun, mpirun or one program, all ranks in one file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from primus.launch.diagnosis.text import Text, clean
from primus.node import log

MOST = 32 << 20
"""Bytes at the end of a log that are read."""

# Whose line it is, by what is before it.
_RANKS = (
    re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+ [A-Z]+ +\S+ r(\d+) \| "),  # Primus
    re.compile(r"^\[rank(\d+)\]:\s?"),  # torch: an uncaught exception, and its C++ log
    re.compile(r"^\[(?:default|trainer|worker)(\d+)\]:\s?"),  # torchrun --tee
    re.compile(r"^\[(?:\d+,)?(\d+)\]<std(?:out|err)>:\s?"),  # mpirun --tag-output
)
_LABEL = re.compile(r"^ *(\d{1,6}): ")  # srun --label: on every line, or it is something else
_SUMMARY = "Root Cause (first observed failure):"  # of torchrun: torch/distributed/elastic/multiprocessing/errors
_SUMMARY_RANK = re.compile(r"^\s*rank\s*: (\d+) \(local_rank: \d+\)")
_SUMMARY_HOST = re.compile(r"^\s*host\s*: (\S+)")
_SIGNS = ("NCCL WARN", "out of memory", "oom_kill", "oom-kill", "Killed", "CANCELLED AT", "Watchdog caught")


@dataclass(frozen=True)
class Found:
    """The log by rank, and which rank failed first, by how it is known: `how`; None where nothing tells."""

    texts: Sequence[Text]
    rank: int | None
    host: str | None
    how: str


@dataclass
class _Stream:
    lines: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    sign: int | None = None  # number of the first line that told of its end


def read(name: str, data: bytes) -> Found:
    """Take a log apart; `data` is its end."""
    streams = _split(data.decode("utf-8", "replace").splitlines())
    told, host = _summary(streams[None].lines) if None in streams else (None, None)
    ranks = {rank: stream.sign for rank, stream in streams.items() if rank is not None and stream.sign is not None}
    if told is not None:
        first, how = told, "as torchrun observed"
    elif ranks:
        first, how = min(ranks, key=lambda rank: ranks[rank] or 0), "its error comes first in the log"
    else:
        first, how = None, ""
    texts = [
        Text(name, stream.lines, rank in (None, first) or first not in streams, rank, numbers=stream.numbers)
        for rank, stream in sorted(streams.items(), key=lambda one: (one[0] != first, one[0] is not None, one[0] or 0))
    ] or [Text(name, (), True)]
    return Found(texts, first, host, how)


def _split(lines: Sequence[str]) -> dict[int | None, _Stream]:
    """Lines by rank; None: those that name none."""
    streams: dict[int | None, _Stream] = {}
    labelled = 2 * sum(bool(_LABEL.match(line)) for line in lines) > len(lines)
    for number, line in enumerate(lines, 1):
        rank, rest = _rank(line, (_LABEL, *_RANKS) if labelled else _RANKS)
        stream = streams.setdefault(rank, _Stream())
        stream.lines.append(clean(rest))
        stream.numbers.append(number)
        if stream.sign is None and (log.fatal(rest.encode()) or any(sign in rest for sign in _SIGNS)):
            stream.sign = number
    return streams


def _rank(line: str, patterns: Sequence[re.Pattern[str]]) -> tuple[int | None, str]:
    for pattern in patterns:
        if found := pattern.match(line):
            return int(found[1]), line[found.end() :]
    return None, line


def _summary(lines: Sequence[str]) -> tuple[int | None, str | None]:
    """The rank and the host that torchrun's own report names."""
    starts = [i for i, line in enumerate(lines) if _SUMMARY in line]
    if not starts:
        return None, None
    block = lines[starts[-1] : starts[-1] + 8]
    rank = next((int(found[1]) for line in block if (found := _SUMMARY_RANK.match(line))), None)
    return rank, next((found[1] for line in block if (found := _SUMMARY_HOST.match(line))), None)
