"""`task=benchmark/memory`: how fast a device's memory is, and the way between host and device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.config.sizes import size
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.charts import point_chart
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Rows, devices, key
from primus.launch.task import Work
from primus.launch.task.benchmark import job
from primus.node.typed import bounded

Operation = Literal["copy", "read", "write", "triad", "to_device", "from_device"]

_COLUMNS = (
    key("operation"),
    key("pinned"),
    key("size", "array", "MiB"),
    Column("bandwidth", "GB/s", digits=1, better="higher"),
    Column("peak_share", "of the peak", "%", 1),
    Column("time_p50", "time p50", "µs", 1),
    Column("time_p95", "time p95", "µs", 1),
    Column("repeats", "times", digits=0),
)
COLUMNS = devices.columns("memory", _COLUMNS, "bandwidth")
TITLES = devices.titles("memory", "Memory bandwidth")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`sizes` are those of one array; a triad has three of them, a copy two."""

    name: str
    operations: Literal["auto"] | Operation | tuple[Operation, ...]
    sizes: str | int | tuple[str | int, ...]
    pinned: tuple[bool, ...]
    seconds: float = bounded(above=0)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The ranks. Raises BadRequest for sizes that are none."""
    job.torch_alone(request)
    job.check_lists(task, source)
    operations = task.operations if isinstance(task.operations, tuple) else (task.operations,)
    given = task.sizes if isinstance(task.sizes, tuple) else (task.sizes,)
    try:
        sizes = [] if given == ("auto",) else [size(one) for one in given]
    except ValueError as error:
        raise BadRequest(f"task.sizes: {error}") from None
    content = {"operations": list(operations), "sizes": sizes, "pinned": list(task.pinned), "seconds": task.seconds}
    return job.work("benchmark.memory", content, request, source, place)


def page(rows: Rows) -> Sequence[Section]:
    """Bandwidth over size, a line for each operation; and who is slow.

    Between host and device it is a hundredth of that within the device's memory: two charts.
    """
    within: dict[str, list[tuple[float, float]]] = {}
    between: dict[str, list[tuple[float, float]]] = {}
    for row in rows.get("memory", ()):
        operation, host = str(row["operation"]).replace("_", " "), row.get("pinned")  # None: no memory of the host's
        found = within if host is None else between
        name = operation if host is None else f"{operation}, {'pinned' if host else 'pageable'}"
        found.setdefault(name, []).append((row["size"], row["bandwidth"]))
    charts = []
    for title, found in (("Within the memory of a device", within), ("Between host and device", between)):
        lines = [(name, [x for x, _ in pairs], [y for _, y in pairs]) for name, pairs in found.items()]
        charts += [point_chart(title, "size of an array, MiB", "GB/s", lines, zero=True)] if lines else []
    return [Charts("Bandwidth", charts), *devices.page(rows, "memory", _COLUMNS, "bandwidth")]
