"""The parts of the ranks: each tokenizes every n-th unit; rank 0 also cuts the text, joins the units and reports."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from primus.rank.documents import text_files
from primus.rank.indexed import Writer
from primus.rank.metrics import MetricsFile
from primus.rank.problems import Refused
from primus.rank.tokenize.encoding import Encoder
from primus.rank.tokenize.reading import Document, Format, Piece, cut, documents
from primus.rank.tokenize.workshop import Joined, Workshop, publish

_LARGEST = 16 << 20
_SMALLEST = 64 << 10
"""Bytes of a unit: some seconds of work at most, and enough to be worth a file."""
_UNITS_PER_RANK = 8  # at least, where the text can be cut so small: so that all ranks end at about the same time
_BATCH = 1 << 20
"""Characters that the tokenizer gets at once."""
_INTERVAL = 0.5
"""Seconds between two reports."""
_TICK = 0.05
"""Seconds between two looks at what the other ranks have done."""


@dataclass(frozen=True)
class Job:
    """`rank.json`: see conf/task/data/tokenize.yaml."""

    files: tuple[str, ...]
    output: str
    tokenizer: str
    text_key: str
    document: Literal["file", "line"]
    append_end: bool | str
    prepend_begin: bool | str
    overwrite: bool

    @property
    def format(self) -> Format:
        return Format(self.text_key, self.document)

    def encoder(self) -> Encoder:
        return Encoder(self.tokenizer, self.prepend_begin, self.append_end)

    def workshop(self, rank: int, run_directory: Path) -> Workshop:
        return Workshop(Path(f"{self.output}.partial-{run_directory.name}"), rank)


def lead(job: Job, ranks: int, run_directory: Path) -> None:
    """Rank 0. Whatever ends it but SIGKILL, nothing is left at the output that is not whole."""
    _check_output(job)
    encoder = job.encoder()
    files = [(path, os.path.getsize(path)) for path in text_files(job.files, "task.files")]
    total = sum(size for _, size in files)
    units = cut(files, min(_LARGEST, max(_SMALLEST, total // (ranks * _UNITS_PER_RANK))), job.format)
    workshop = job.workshop(0, run_directory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that `finally` is done
    try:
        workshop.open(units)
        report = _Report(total)
        with Joined(workshop, len(units), encoder.dtype) as joined:

            def more_to_come() -> bool:
                report.now_and_then(workshop, joined)
                return joined.advance()

            _tokenize(units, range(0, len(units), ranks), encoder, job.format, workshop, more_to_come)
            while more_to_come():
                time.sleep(_TICK)
        if joined.documents == 0:
            raise Refused(f"task.files: there is no text in {len(files)} files")
        publish(joined.prefix, job.output)
        report.end(job, joined, run_directory)
    finally:
        workshop.close()


def help(job: Job, rank: int, ranks: int, run_directory: Path) -> None:
    """Any other rank. Rank 0 may be done before it is there, where it has no unit."""
    encoder, workshop = job.encoder(), job.workshop(rank, run_directory)
    units = workshop.await_units(over=run_directory / "tokens.json")
    _tokenize(units, range(rank, len(units), ranks), encoder, job.format, workshop, lambda: None)


def _check_output(job: Job) -> None:
    there = [f"{job.output}{suffix}" for suffix in (".idx", ".bin") if os.path.exists(f"{job.output}{suffix}")]
    if there and not job.overwrite:
        raise Refused(f"task.output: {there[0]} is there already: give another name, or task.overwrite=true")
    output = Path(job.output)
    for left in sorted(output.parent.glob(f"{output.name}.partial-*")):
        print(f"{left} is of another job: if that is over, it was killed: remove the folder", flush=True)


def _tokenize(
    units: list[list[Piece]],
    mine: range,
    encoder: Encoder,
    form: Format,
    workshop: Workshop,
    look_around: Callable[[], object],
) -> None:
    """Leave each of my units in the workshop. Once in a while tell how far I am, and `look_around`."""
    read, next_report = 0, 0.0
    for number in mine:
        with Writer(workshop.prefix(number), encoder.dtype) as writer:
            for piece in units[number]:
                for batch in _batches(documents(piece, form)):
                    for tokens in encoder([document.text for document in batch]):
                        writer.add(tokens)
                    if time.monotonic() >= next_report:
                        workshop.say_read(read + batch[-1].position - piece.start)
                        look_around()
                        next_report = time.monotonic() + _INTERVAL
                read += piece.end - piece.start
            workshop.say_read(read)  # before the unit is complete: after the last one, rank 0 clears the folder away


def _batches(found: Iterator[Document]) -> Iterator[list[Document]]:
    batch, size = [], 0
    for document in found:
        batch.append(document)
        size += len(document.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Report:
    """How far all ranks are: metrics, whose `step` counts megabytes of text, and a line at the end."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = time.monotonic()
        self._metrics = MetricsFile(os.environ["PRIMUS_METRICS"])
        self._next = self._started + _INTERVAL

    def now_and_then(self, workshop: Workshop, joined: Joined) -> None:
        if time.monotonic() >= self._next:
            self._write(workshop.read_by_all(), joined)
            self._next = time.monotonic() + _INTERVAL

    def end(self, job: Job, joined: Joined, run_directory: Path) -> None:
        """Write what was made into tokens.json of the run, for the ranks that wait and for the record."""
        values = self._write(self._total, joined)
        seconds = time.monotonic() - self._started
        made = {
            "output": job.output,
            "type": joined.dtype.name,
            "tokenizer": job.tokenizer,
            "seconds": seconds,
            **values,
        }
        partial = run_directory / "tokens.partial"
        partial.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        partial.replace(run_directory / "tokens.json")
        print(
            f"wrote {job.output}.bin and .idx: {joined.documents:,} documents, {joined.tokens:,} tokens "
            f"({joined.dtype.name}) of {self._total / 1e6:,.1f} MB in {seconds:,.1f} s: "
            f"{values['megabytes_per_second']:,.1f} MB/s",
            flush=True,
        )

    def _write(self, read: int, joined: Joined) -> dict[str, Any]:
        values = {
            "bytes": read,
            "bytes_total": self._total,
            "megabytes_per_second": read / 1e6 / (time.monotonic() - self._started),
            "documents": joined.documents,
            "tokens": joined.tokens,
        }
        self._metrics.write(read // 10**6, values)
        return values
