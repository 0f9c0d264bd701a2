"""record.json: how far the record of a run directory has come. What makes a killed recorder lose and repeat nothing."""

import fcntl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from primus.launch.record.files import read_json
from primus.launch.record.tail import Position
from primus.node import rundir
from primus.node.typed import plain, read

LOCK = ".record.lock"


class Busy(Exception):
    """Another process records this directory."""


@dataclass(frozen=True)
class Record:
    """State of a record; `tracking_uri` is without credentials.

    `attempted` is set before the MLflow run is created: a recorder that finds it without a run id looks for the run
    with the tag `token` before it creates one. `doubtful`: a call that creates a run went unanswered, so that there may
    be two of that tag. `described`: the parameters are there. `offsets`, `lines` and `marks` say how far each metric
    file has been accepted by the store; `artifacts` are the files that it has; `loss_rank` is the rank whose metrics
    stand under plain names. `errors` says why the record is not complete; in a complete one, what was left out.
    """

    tracking_uri: str = ""
    experiment_id: str | None = None
    run_id: str | None = None
    artifact_uri: str | None = None
    attempted: bool = False
    token: str = ""
    doubtful: bool = False
    described: bool = False
    loss_rank: int | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    broken_lines: int = 0
    complete: bool = False
    errors: tuple[str, ...] = ()

    def position(self, name: str) -> Position:
        """How far the metric file `name` has been recorded."""
        return Position(self.offsets.get(name, 0), self.lines.get(name, 0), self.marks.get(name))

    def moved(self, positions: dict[str, Position], broken: int = 0) -> "Record":
        """The record with metric files accepted up to `positions`."""
        marks = {name: mark for name, mark in self.marks.items() if name not in positions}
        return replace(
            self,
            offsets={**self.offsets, **{name: p.bytes for name, p in positions.items()}},
            lines={**self.lines, **{name: p.lines for name, p in positions.items()}},
            marks={**marks, **{name: p.mark for name, p in positions.items() if p.mark is not None}},
            broken_lines=self.broken_lines + broken,
        )

    def failed(self, message: str) -> "Record":
        """The record with one more error; the last few different ones are kept until the record is complete."""
        return replace(self, errors=(*[e for e in self.errors if e != message], message)[-5:])


def load(directory: Path, tracking_uri: str) -> Record:
    """The record so far; a new one where there is none, or where it is that of another MLflow.

    Raises ValueError when record.json is not one that this Primus reads.
    """
    data = read_json(directory / rundir.RECORD)
    if data.get("tracking_uri") != tracking_uri:
        return Record(tracking_uri=tracking_uri)
    return read(Record, data)


def save(directory: Path, record: Record) -> None:
    """Write record.json, whole or not at all. Raises OSError, also where the directory was removed."""
    directory.stat()
    rundir.write_json(directory / rundir.RECORD, plain(record))


def lock(directory: Path) -> IO[str]:
    """Hold the record of a directory until the returned file is closed; raises Busy when another process has it."""
    file = (directory / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Busy(f"{directory} is being recorded by another process") from error
    return file
