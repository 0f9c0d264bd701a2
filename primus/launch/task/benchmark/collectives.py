"""`task=benchmark/collectives`: how fast ranks exchange data, by operation, size and group."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from primus.launch import container
from primus.launch.backend import interpreter
from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.config.sizes import words
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.charts import Chart, point_chart
from primus.launch.report.page import Charts
from primus.launch.results import Column, Row, Rows, key
from primus.launch.task import Work
from primus.launch.task.benchmark import job
from primus.launch.task.benchmark.ranges import listed
from primus.node.collectives import Operation
from primus.node.plan import File
from primus.node.typed import bounded

COLUMNS = {
    "collective": (
        key("operation"),
        key("groups", steady=True),
        key("ranks", steady=True),
        key("dtype", steady=True),
        key("bytes", "size", "B"),
        Column("time_mean", "mean", "µs", 1),
        Column("time_p50", "p50", "µs", 1),
        Column("time_p95", "p95", "µs", 1),
        Column("time_min", "min", "µs", 1),
        Column("time_max", "max", "µs", 1),
        Column("algorithm_bandwidth", "algbw", "GB/s", 3),
        Column("bus_bandwidth", "busbw", "GB/s", 3, better="higher"),
        Column("slowest", "slowest"),
        Column("spread", "spread", "%", 1),
        Column("wrong", "wrong", "", 0, better="lower"),
    )
}
_TICKS = 6
"""Sizes that have room below an axis."""
TITLES = {"collective": "Collectives"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured. `sizes` are bytes, with K, M or G (of 1024) after them; a range of from, to, factor; auto."""

    name: str
    operations: tuple[Operation, ...]
    sizes: dict[str, str] | tuple[str, ...] | str
    dtypes: tuple[Literal["fp32", "bf16", "fp16"], ...]
    groups: tuple[Literal["all", "intra_node", "inter_node"] | tuple[int, ...], ...]
    stride: int | None = bounded(least=1)
    iterations: int = bounded(least=1)
    warmup: int = bounded(least=0)
    python: str | None


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The ranks. Raises BadRequest for sizes and groups that cannot be, and for a backend without PyTorch."""
    job.torch_alone(request)
    backend = typed(Backend, request.backend, "backend", source)
    job.check_lists(task, source)
    content = {
        "operations": task.operations,
        "sizes": listed(task.sizes, "task.sizes"),
        "dtypes": task.dtypes,
        "groups": task.groups,
        "stride": task.stride,
        "iterations": task.iterations,
        "warmup": task.warmup,
    }
    module, in_image = member("backend", backend.name), container.python(request)
    python = task.python or interpreter.choose(backend, module, place, in_image=in_image).python
    nodes = int(request.runtime.get("nodes", 1))
    usual = 2 if nodes == 1 and place.devices.count == 0 and request.runtime["name"] != "slurm" else None
    _check_groups(task, nodes, request.ranks_per_node or usual)
    return Work(
        command=(python, "{primus.package}/rank", "benchmark.collectives", "{primus.run_dir}/rank.json"),
        backend="" if task.python else backend.name,
        files=(File("rank.json", json.dumps(content, indent=2) + "\n"),),
        environment=backend.environment,
        ranks_per_node=usual,
    )


def _check_groups(task: Settings, nodes: int, per_node: int | None) -> None:
    """What can be told of the chosen groups before ranks are there; the rest the ranks refuse."""
    chosen = [rank for group in task.groups if not isinstance(group, str) for rank in group]
    if twice := [rank for rank in chosen if chosen.count(rank) > 1]:
        raise BadRequest(f"task.groups: rank {twice[0]} is in two groups, which work at the same time")
    if per_node and (absent := [rank for rank in chosen if not 0 <= rank < nodes * per_node]):
        raise BadRequest(f"task.groups: there is no rank {absent[0]}: the ranks are 0 to {nodes * per_node - 1}")


def page(rows: Rows) -> list[Any]:
    """Bus bandwidth and time over the size, for each group and type."""
    found = rows.get("collective", ())
    charts: list[Chart] = []
    for groups, dtype in dict.fromkeys((str(row["groups"]), str(row["dtype"])) for row in found):
        of_these = [row for row in found if (row["groups"], row["dtype"]) == (groups, dtype)]
        where = f"{groups.replace('_', ' ')}, {dtype}"
        for title, unit, column in (
            ("Bus bandwidth", "GB/s", "bus_bandwidth"),
            ("Time, mean", "µs", "time_mean"),
        ):
            charts.append(_by_size(f"{title}: {where}", unit, _series(of_these, column)))
    return [Charts("By size", charts)] if charts else []


def _by_size(title: str, unit: str, series: Sequence[tuple[str, list[float], list[float]]]) -> Chart:
    """Sizes are logarithmic, and times; bandwidth is not: of the large sizes, where it counts, differences are seen."""
    chart = point_chart(title, "size", unit, series, zero=True)
    sizes = sorted({size for _, xs, _ in series for size in xs})
    ticks = sizes[:: -(-len(sizes) // _TICKS)]
    chart.layout["xaxis"] |= {"type": "log", "tickvals": ticks, "ticktext": [words(int(size)) for size in ticks]}
    if unit != "GB/s":
        chart.layout["yaxis"] |= {"type": "log", "exponentformat": "none"}
    chart.layout.update(showlegend=True, height=340)
    return chart


def _series(rows: Sequence[Row], column: str) -> list[tuple[str, list[float], list[float]]]:
    return [
        (
            operation.replace("_", " "),
            [float(row["bytes"]) for row in rows if row["operation"] == operation],
            [float(row[column]) for row in rows if row["operation"] == operation],
        )
        for operation in dict.fromkeys(str(row["operation"]) for row in rows)
    ]
