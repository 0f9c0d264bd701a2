"""What the metrics of a run say of its end, as lines for the table; and the memory numbers that belong to a failure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from primus.launch.record import tail
from primus.launch.record.files import host_files, main_rank, node_reports, rank_files

_WATCHED = ("loss", "grad_norm")
_SPAN = 5
_LEAST_RISE = 1.0
"""Nats: the loss of a model that has learned something does not rise by so much from noise."""
_LEAST_RATIO = 1.5
_GIB = 2**30
_HUGE = 1e300


def said(directory: Path) -> list[str]:
    """Lines such as `metrics: loss is NaN at step 12 (2.31 at step 11)`, of a run whose numbers went wrong."""
    files = {rank: tail.last_objects(path, 1 << 20) for rank, path in rank_files(directory).items()}
    lines = files.get(main_rank(files), [])
    return [f"metrics: {line}" for line in (*_not_finite(lines), *_risen(lines))]


def memory(directory: Path) -> list[str]:
    """How much memory ranks and hosts say that they used last, and of how much."""
    reports = node_reports(directory)
    return [*_of_ranks(directory), *_of_hosts(directory, reports)]


def _not_finite(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    for name in _WATCHED:
        before: tuple[float, Any] | None = None
        for line in lines:
            value = tail.numbers(line).get(name)
            if value is None:
                continue
            if math.isfinite(value):
                before = value, line.get("step")
                continue
            was = f" ({before[0]:.4g} at step {before[1]})" if before else " (from the first on)"
            yield f"{name} is {'NaN' if math.isnan(value) else 'inf'} at step {line.get('step')}{was}"
            break


def _risen(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The loss at the end far over its lowest: medians of five, which one bad batch does not move."""
    points = [(line.get("step"), float(line["loss"])) for line in lines if _finite(line.get("loss"))]
    if len(points) < 2 * _SPAN:
        return
    medians = [median(value for _, value in points[n : n + _SPAN]) for n in range(len(points) - _SPAN + 1)]
    lowest, last = min(medians), medians[-1]
    if last - lowest > _LEAST_RISE and last > _LEAST_RATIO * lowest:
        step = points[medians.index(lowest) + _SPAN // 2][0]
        yield f"loss rose from {lowest:.4g} about step {step} to {last:.4g} at step {points[-1][0]}"


def _finite(value: object) -> bool:
    """Whether it is a number to reckon with: Python reads whole numbers of any length."""
    return isinstance(value, (int, float)) and abs(value) < _HUGE


def _of_ranks(directory: Path) -> Iterator[str]:
    peaks: dict[int, tuple[float, Any]] = {}
    for rank, path in rank_files(directory).items():
        for line in tail.last_objects(path):
            if _finite(line.get("memory_peak")):
                peaks[rank] = float(line["memory_peak"]), line.get("step")
    if peaks:
        rank = max(peaks, key=lambda r: peaks[r][0])
        yield f"most device memory that a rank reported: {_gib(peaks[rank][0])} by rank {rank} at step {peaks[rank][1]}"


def _of_hosts(directory: Path, reports: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    for node, path in list(host_files(directory).items())[:8]:
        used = [line["memory_used"] for line in tail.last_objects(path) if _finite(line.get("memory_used"))]
        total = (reports.get(node, {}).get("cpu") or {}).get("memory")
        if used:
            of = f" of {_gib(total)} that the job may use" if _finite(total) and total else ""
            yield f"host memory in use on node {node}: {_gib(max(used))} at most{of}"


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"
