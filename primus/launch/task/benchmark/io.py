"""`task=benchmark/io`: how fast the directories of data and checkpoints are written and read, from the node."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import container, preflight
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.config.sizes import size
from primus.launch.data import asked, check_paths
from primus.launch.place import Place
from primus.launch.planning import output_root
from primus.launch.problems import BadRequest
from primus.launch.report.charts import bar_chart
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Rows, devices, key
from primus.launch.task import Work
from primus.launch.task.benchmark import job
from primus.node.plan import File
from primus.node.typed import bounded

_PAGE = 4096  # bytes; what passes the page cache by moves whole pages

_COLUMNS = (
    key("directory"),
    key("operation"),
    key("threads", "files at once"),
    key("size", "file", "MiB", 1),
    key("block", "block", "KiB"),
    Column("bandwidth", "GB/s", digits=3, better="higher"),
    Column("worst", "min", "GB/s", 3),
    Column("best", "max", "GB/s", 3),
    Column("cached", "through the cache"),
)
COLUMNS = devices.columns("io", _COLUMNS, "bandwidth")
TITLES = devices.titles("io", "Bandwidth of directories")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each thread writes and reads a file of its own; `size` and `block` are bytes, such as 256M."""

    name: str
    directories: tuple[str, ...] | str | None
    size: str | int
    block: str | int
    threads: tuple[int, ...] | int
    repeats: int = bounded(least=1)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """One rank per node, each in every directory. Raises BadRequest for sizes that are none."""
    found = {}
    for name in ("size", "block"):
        try:
            found[name] = size(getattr(task, name))
        except ValueError as error:
            raise BadRequest(f"task.{name}: {error}") from None
    if found["block"] % _PAGE or found["size"] % found["block"]:
        raise BadRequest(
            f"task.block: {task.block} must be a multiple of 4K, and task.size ({task.size}) one of task.block"
        )
    job.check_lists(task, source)
    threads = (task.threads,) if isinstance(task.threads, int) else task.threads
    if min(threads) < 1:
        raise BadRequest(f"task.threads: {task.threads} must be numbers above 0")
    written, data = directories(task, request, source, place)
    content = {
        "directories": written,
        "data": data,
        **found,
        "threads": list(threads),
        "repeats": task.repeats,
    }
    return Work(
        command=(
            container.python(request) or place.python,
            "{primus.package}/rank",
            "benchmark.io",
            "{primus.run_dir}/rank.json",
        ),
        files=(File("rank.json", json.dumps(content, indent=2) + "\n"),),
        ranks_per_node=1,
    )


def directories(task: Settings, request: Request, source: Origins, place: Place) -> tuple[list[str], list[str]]:
    """Those that are given, else where checkpoints go; and where the data lie, which need not be writable.

    Raises BadRequest where there are no such data.
    """
    given = (task.directories,) if isinstance(task.directories, str) else task.directories
    if given:
        return [str(place.directory / Path(name).expanduser()) for name in given], []
    try:
        check_paths(asked(request, source), place.directory)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    written = str(output_root(request, place))
    found = [one.path for one in preflight.directories(None, request, place) if not one.written]
    return [written], [path for path in found if path != written]


def page(rows: Rows) -> Sequence[Section]:
    """A bar for each directory, operation and number of files at once; and which node is slow."""
    bars = [
        (
            f"{row['operation']} x{row['threads']} {Path(row['directory']).name}",
            row["bandwidth"],
            f"{row['bandwidth']:.2f} GB/s",
            row["operation"] == "write",
        )
        for row in rows.get("io", ())
    ]
    shown = [Charts("Bandwidth", [bar_chart("Bandwidth of directories", "GB/s", bars)])] if bars else []
    return [*shown, *devices.page(rows, "io", _COLUMNS, "bandwidth")]
