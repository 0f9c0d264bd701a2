"""`task=benchmark/gemm`: how fast matrix products are on each device, and how near to what the device can do."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Rows, devices, key, roofline
from primus.launch.task import Work
from primus.launch.task.benchmark import job, shapes
from primus.launch.task.benchmark.shapes import Pass, Product
from primus.node.rundir import BY_RANK
from primus.node.typed import bounded, plain

Transpose = Literal["nn", "nt", "tn", "tt"]
Dtype = Literal["fp32", "tf32", "bf16", "fp16", "fp8"]

_LONGEST = 4096
"""Tokens of a sequence that is not given: a model's context may be a million."""

_GEMM = (
    key("layer"),
    key("dtype"),
    key("m"),
    key("n"),
    key("k"),
    key("batch", steady=True),
    key("transpose", steady=True),
    Column("tflops", "TFLOP/s", digits=3, better="higher"),
    Column("peak_share", "of the peak", "%", 1),
    Column("time_p50", "time p50", "µs", 1),
    Column("time_p95", "time p95", "µs", 1),
    Column("bandwidth", "moved", "GB/s", 1),
    Column("intensity", "intensity", "FLOP/B", 1),
    Column("clock", "clock", "MHz", 0),
    Column("repeats", "times", digits=0),
)
_CEILING = (
    key("what"),
    Column("tflops", "TFLOP/s", digits=3, better="higher"),
    Column("bandwidth", "GB/s", digits=1, better="higher"),
    Column("published", "published", digits=1),
    Column("share", "of that", "%", 1),
)
COLUMNS = {
    **devices.columns("gemm", _GEMM, "tflops", "clock"),
    "ceiling": (*_CEILING, Column("slowest", "which rank is slowest"), Column("spread", "spread", "%", 1)),
    f"ceiling{BY_RANK}": (key("host"), key("rank"), *_CEILING),
}
TITLES = {
    **devices.titles("gemm", "Matrix products"),
    **devices.titles("ceiling", "Ceilings, as measured"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is multiplied: every m with every n, k, batch and transpose; or a model's layers; each in every dtype."""

    name: str
    shapes: Literal["auto", "square", "model"]
    m: tuple[int, ...] | int | None
    n: tuple[int, ...] | int | None
    k: tuple[int, ...] | int | None
    batch: tuple[int, ...] | int
    transposes: tuple[Transpose, ...] | Transpose
    dtypes: Literal["auto"] | Dtype | tuple[Dtype, ...]
    passes: tuple[Pass, ...]
    micro_batch: int = bounded(least=1)
    sequence_length: int | None = bounded(least=1)
    seconds: float = bounded(above=0)
    seed: int = bounded(least=0, most=2**32 - 1)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The ranks. Raises BadRequest for sizes that are none, or that do not go together."""
    job.check_lists(task, source)
    dtypes = task.dtypes if isinstance(task.dtypes, tuple) else (task.dtypes,)
    if "fp8" in dtypes and job.framework(request) == "jax":
        raise BadRequest("task.dtypes: fp8 is measured with PyTorch alone")
    content = {
        "products": plain(products(task, request)),
        "transposes": _list(task.transposes),
        "batches": _sizes("batch", task.batch),
        "dtypes": list(dtypes),
        "seconds": task.seconds,
        "seed": task.seed,
    }
    return job.work("benchmark.gemm", content, request, source, place)


def products(task: Settings, request: Request) -> list[Product]:
    """What is to be multiplied; none: squares that suit the device, which the rank alone knows."""
    given = {name: _sizes(name, value) for name in "mnk" if (value := getattr(task, name)) is not None}
    if not given:
        chosen = task.shapes == "model" or (task.shapes == "auto" and request.model.name != "tiny")
        length = task.sequence_length or min(request.model.context, _LONGEST)
        return shapes.of_model(request.model, task.micro_batch * length, task.passes) if chosen else []
    if task.shapes == "model":
        raise BadRequest(f"task.shapes=model gives the sizes: leave out {', '.join(f'task.{name}' for name in given)}")
    if set(given) == {"m"}:
        triples = [(m, m, m) for m in given["m"]]
    elif len(given) == 3:
        triples = list(itertools.product(given["m"], given["n"], given["k"]))
    else:
        lacking = [f"task.{name}" for name in "mnk" if name not in given]
        raise BadRequest(f"{' and '.join(lacking)}: is missing: give m, n and k, or task.m alone for square products")
    every = itertools.product(triples, _sizes("batch", task.batch), _list(task.transposes))
    return [Product("", *triple, batch, transpose) for triple, batch, transpose in every]


def page(rows: Rows) -> Sequence[Section]:
    """The roofline: each product between what memory and arithmetic of the device allow; and who is slow."""
    chart = roofline.chart(rows.get("gemm", ()), rows.get("ceiling", ()))
    return [*([Charts("Roofline", [chart])] if chart else []), *devices.page(rows, "gemm", _GEMM, "tflops")]


def _sizes(name: str, value: tuple[int, ...] | int) -> list[int]:
    found = [value] if isinstance(value, int) else list(value)
    if min(found) < 1:
        raise BadRequest(f"task.{name}: {value} must be a size above 0, or a list of them")
    return found


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]
