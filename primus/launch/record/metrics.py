"""Metrics that are new in a run directory, in batches that the store takes at once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from primus.launch.record import content, files, tail
from primus.launch.record.state import Record
from primus.launch.record.store import METRICS_PER_CALL, Metric


@dataclass(frozen=True)
class Batch:
    """Metrics for one call, and the record as it is once they are accepted."""

    metrics: tuple[Metric, ...]
    after: Record


@dataclass(frozen=True)
class _Item:
    name: str
    prefix: str
    line: tail.Line


def new(directory: Path, record: Record, nodes: int) -> Iterator[Batch]:
    """Batches of what the metric files of a run on `nodes` nodes hold beyond the record, until they hold no more.

    The metrics of the rank that reports the loss get plain names, those of the others `rank<r>/<name>`, those of hosts
    `system/<name>`, or `system/node<n>/<name>` where there are several.
    """
    while True:
        record, items = _read(directory, record, nodes)
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


def _read(directory: Path, record: Record, nodes: int) -> tuple[Record, list[_Item]]:
    ranks, hosts = files.rank_files(directory), files.host_files(directory)
    new = {rank: tail.read(path, record.position(f"metrics/{path.name}")) for rank, path in ranks.items()}
    objects = {rank: [line.value for line in lines if line.value] for rank, lines in new.items()}
    if record.loss_rank is None and any("loss" in value for values in objects.values() for value in values):
        record = replace(record, loss_rank=files.main_rank(objects))
    main = record.loss_rank or 0
    items = [
        _Item(f"metrics/{ranks[rank].name}", "" if rank == main else f"rank{rank}/", line)
        for rank, lines in new.items()
        for line in lines
    ]
    for node, path in hosts.items():
        prefix = "system/" if nodes == 1 else f"system/node{node}/"
        name = f"metrics/{path.name}"
        items += [_Item(name, prefix, line) for line in tail.read(path, record.position(name))]
    return record, items


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
    """Metrics of a line. Samples of a host have no step: theirs is the number of the line, from 0."""
    value = item.line.value or {}
    step = value["step"] if isinstance(value.get("step"), int) else item.line.after.lines - 1
    return [
        Metric(content.legal(item.prefix + name), number, float(value["time"]), step)
        for name, number in tail.numbers(value).items()
    ]
