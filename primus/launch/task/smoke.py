"""`task=smoke`: every GPU at work for a moment, on nodes that know nothing of each other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch import container, gpus, preflight
from primus.launch.backend import interpreter
from primus.launch.config.origin import Origins
from primus.launch.config.request import Gpu, Request, Smoke
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.charts import bar_chart
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Rows, key, number
from primus.launch.task import Work
from primus.node.checks import smoke
from primus.node.plan import File
from primus.node.typed import bounded, plain

NAME = "smoke"
_GEMM, _MEMORY, _ALL_REDUCE = "gemm", "memory", "all_reduce"
COLUMNS = {
    "gpu": (
        *(key("node"), key("gpu", "GPU")),
        Column("state", "state"),
        Column(_GEMM, "GEMM", "TFLOP/s", 2, "higher"),
        Column(_MEMORY, "memory", "GB/s", 1, "higher"),
        Column(_ALL_REDUCE, "all-reduce", "GB/s", 1, "higher"),
        Column("unjudged", "not judged"),
        Column("why", "why"),
    ),
    "nodes": (
        key("state"),
        Column("count", "nodes", digits=0),
        Column("names", "names, as runtime.exclude takes them"),
    ),
}
TITLES = {"gpu": "GPUs", "nodes": "Nodes that pass, nodes that fail"}
_BARS = 64
_NODE = 8
"""GPUs (halves of an MI250X) of the nodes for which AMD gives what an all-reduce reaches."""
_COPY, _OF_NODE = 0.85, 0.6
"""Shares of what AMD's own acceptance tests demand: those measure longer, the all-reduce with gigabytes. Chosen."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`gpus` is how many each node must have; `seconds` for each measurement, `timeout` seconds for a node."""

    name: str
    gpus: int | None = bounded(least=0)
    seconds: float = bounded(above=0)
    timeout: float = bounded(above=0)
    processes: int = bounded(least=1)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """Checks alone, without ranks. Raises BadRequest for a backend whose interpreter has no PyTorch."""
    backend = preflight.backend_settings(request, source)
    module = member("backend", backend.name)
    if "torch" not in module.PACKAGES:
        raise BadRequest(f"task=smoke measures with PyTorch, backend={backend.name} has none: take backend=torchtitan")
    chosen = interpreter.choose(backend, module, place, source.overrides, container.python(request))
    if chosen.problem:
        raise chosen.problem
    settings = smoke.Settings(
        within=task.timeout,
        seconds=task.seconds,
        gpu=request.gpu.name,
        gpus=preflight.gpus_per_node(request) if task.gpus is None else task.gpus,
        python=chosen.python,
        processes=task.processes,
        least=tuple(_least(p) for p in ([request.gpu] if request.gpu.devices else gpus.profiles())),
    )
    return Work(
        command=(),
        files=(File(f"{NAME}.json", json.dumps(plain(settings), indent=2) + "\n"),),
        environment=backend.environment,
        ranks_per_node=1,
        checks=NAME,
    )


def page(rows: Rows) -> Sequence[Section]:
    """Each measurement, the slowest GPUs first, those that fail in another colour, with what is demanded of them."""
    charts = []
    for column in COLUMNS["gpu"]:
        found = [row for row in rows.get("gpu", ()) if column.unit and row.get(column.name) is not None]
        slowest = sorted(found, key=lambda row: float(row[column.name]))[:_BARS]
        bars = [
            (f"{row['node']} {row['gpu']}", float(row[column.name]), column.say(row[column.name]), _style(row["state"]))
            for row in slowest
        ]
        least = [number(row.get(smoke.LEAST.format(column.name))) for row in slowest]
        title = column.title[0].upper() + column.title[1:]
        charts += [bar_chart(title, column.unit, bars, least)] if bars else []
    return [Charts("The slowest first", charts)] if charts else []


def _style(state: str) -> int:
    return 6 if state == "fail" else 2


def _least(profile: Gpu) -> smoke.Least:
    """The shares of a profile as figures, else of what its vendor demands; None where neither is published."""
    share, vendor, bf16 = profile.smoke or Smoke(None, None, None), profile.checks, profile.tflops.get("bf16")
    memory = _product(share.memory, profile.memory_bandwidth) or _product(_COPY, vendor.get("copy"))
    all_reduce = _product(share.all_reduce, profile.link_bandwidth)
    of_node = None if all_reduce else _product(_OF_NODE, vendor.get("all_reduce"))
    return smoke.Least(
        profile.devices, _product(share.gemm, bf16), memory, all_reduce or of_node, _NODE if of_node else None
    )


def _product(share: float | None, figure: float | None) -> float | None:
    return share * figure if share and figure else None
