"""Metrics that are new in a run directory, in batches that the store takes at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from primus.launch.record import content, files, tail
from primus.launch.record.state import Record
from primus.launch.record.store import METRICS_PER_CALL, Metric
from primus.launch.results import Columns, rows
from primus.node import rundir

NO_COLUMNS: Columns = {}
_OF_THE_JOB = ("restarts",)
"""Metrics that the agent of node 0 writes for the whole job."""
_AT_ONCE = 4 << 20
"""Bytes of all metric files that are read at a time: a job of 512 ranks can leave a recorder that comes late much."""


@dataclass(frozen=True)
class Batch:
    """Metrics for one call, and the record as it is once they are accepted."""

    metrics: tuple[Metric, ...]
    after: Record


@dataclass(frozen=True)
class _Item:
    """A line of the file `name`; `numbers` are its metrics by the names that they have in MLflow."""

    name: str
    line: tail.Line
    numbers: Mapping[str, float]


def _never() -> bool:
    return False


def new(
    directory: Path,
    record: Record,
    nodes: int,
    columns: Columns = NO_COLUMNS,
    over: bool = False,
    waits: Callable[[], bool] = _never,
) -> Iterator[Batch]:
    """Batches of what the metric files of a run on `nodes` nodes hold beyond the record, until they hold no more.

    The metrics of the rank that reports the loss get plain names, those of the others `rank<r>/<name>`, those of hosts
    `system/<name>`, or `system/node<n>/<name>` where there are several, but for `restarts`, which is the job's;
    results, whose `columns` the task knows, are `<kind>/<label>/<column>`.

    `over`: nothing writes any more. `waits` is asked while a rank reports a loss and one below it has written nothing
    yet, whose loss it may be that gets the plain name: where it says so, the lines of the former are left for later.
    """
    while True:
        record, items = _read(directory, record, nodes, columns, over, waits)
        if not items:
            return
        for batch in _batches(record, items):
            record = batch.after
            yield batch


def left_out(directory: Path, record: Record) -> list[str]:
    """What of the metrics of a finished run could not be recorded, in words."""
    said = []
    if record.broken_lines:
        said += [f"{record.broken_lines} lines of metrics are broken: no JSON objects with a time"]
    for path in sorted((directory / "metrics").glob("*.jsonl")):
        if tail.rest(path, record.position(f"metrics/{path.name}")):
            said += [f"metrics/{path.name}: its last line was cut off"]
    return said


def _read(
    directory: Path, record: Record, nodes: int, columns: Columns, over: bool, waits: Callable[[], bool]
) -> tuple[Record, list[_Item]]:
    ranks, hosts = files.rank_files(directory), files.host_files(directory)
    most = max(1 << 12, min(tail.PIECE, _AT_ONCE // (len(ranks) + len(hosts) + 1)))
    new = {rank: tail.read(path, record.position(f"metrics/{path.name}"), most, over) for rank, path in ranks.items()}
    first = _reports_loss(new) if record.loss_rank is None else None
    if first is not None and over:
        record = replace(record, loss_rank=_at_the_end(ranks, first))
    elif first is not None and _silent(new, record, first) and waits():
        new[first] = []
    elif first is not None:
        record = replace(record, loss_rank=first)
    main = record.loss_rank or 0
    items = [
        _item(f"metrics/{ranks[rank].name}", line, "" if rank == main else f"rank{rank}/")
        for rank, lines in new.items()
        for line in lines
    ]
    for node, path in hosts.items():
        prefix = "system/" if nodes == 1 else f"system/node{node}/"
        name = f"metrics/{path.name}"
        items += [_item(name, line, prefix) for line in tail.read(path, record.position(name), most)]
    for line in tail.read(directory / rundir.RESULTS, record.position(rundir.RESULTS), most):
        items += [_Item(rundir.RESULTS, line, _result(line.value or {}, columns))]
    return record, items


def _reports_loss(new: Mapping[int, Sequence[tail.Line]]) -> int | None:
    """The first rank with a loss in its new lines."""
    return min(
        (rank for rank, lines in new.items() if any("loss" in (line.value or {}) for line in lines)), default=None
    )


def _at_the_end(ranks: Mapping[int, Path], otherwise: int) -> int:
    """The rank whose loss result.json and the report have, if any: they read the ends of the files."""
    ends = {rank: tail.last_objects(path) for rank, path in ranks.items()}
    return files.main_rank(ends) if any("loss" in value for values in ends.values() for value in values) else otherwise


def _silent(new: Mapping[int, Sequence[tail.Line]], record: Record, rank: int) -> bool:
    """Whether a rank below this one has written nothing so far."""
    return any(not new.get(r) and not record.position(rundir.rank_metrics(r)).lines for r in range(rank))


def _item(name: str, line: tail.Line, prefix: str) -> _Item:
    numbers = tail.numbers(line.value or {})
    return _Item(name, line, {metric if metric in _OF_THE_JOB else prefix + metric: v for metric, v in numbers.items()})


def _result(row: Mapping[str, Any], columns: Columns) -> Mapping[str, float]:
    return rows.metrics(row, columns[row["kind"]]) if row.get("kind") in columns else {}


def _batches(record: Record, items: list[_Item]) -> Iterator[Batch]:
    """Whole lines in groups of at most METRICS_PER_CALL metrics, so that the position after each group is known."""
    metrics: list[Metric] = []
    for item in items:
        points = _points(item)
        if metrics and len(metrics) + len(points) > METRICS_PER_CALL:
            yield Batch(tuple(metrics), record)
            metrics = []
        metrics += points
        record = record.moved({item.name: item.line.after}, broken=item.line.value is None)
    yield Batch(tuple(metrics), record)


def _points(item: _Item) -> list[Metric]:
    """Metrics of a line. Samples of a host and results have no step: theirs is the number of the line, from 0."""
    value = item.line.value or {}
    step = value["step"] if isinstance(value.get("step"), int) else item.line.after.lines - 1
    return [Metric(content.legal(name), number, float(value["time"]), step) for name, number in item.numbers.items()]
