"""`task=benchmark/attention`: forward and backward of a model's attention, by every kernel that there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.report.charts import point_chart
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Rows, devices, key
from primus.launch.task import Work
from primus.launch.task.benchmark import job
from primus.node.typed import bounded

Kernel = Literal["math", "flash", "efficient", "cudnn"]

_COLUMNS = (
    key("kernel"),
    key("direction", "pass"),
    key("dtype", steady=True),
    key("batch", steady=True),
    key("sequence"),
    key("heads", steady=True),
    key("kv_heads", steady=True),
    key("head_size", steady=True),
    key("causal", steady=True),
    Column("tflops", "TFLOP/s", digits=3, better="higher"),
    Column("peak_share", "of the peak", "%", 1),
    Column("time_p50", "time p50", "µs", 1),
    Column("time_p95", "time p95", "µs", 1),
    Column("memory", "memory beside operands", "MiB", 1, better="lower"),
    Column("repeats", "times", digits=0),
)
COLUMNS = devices.columns("attention", _COLUMNS, "tflops")
TITLES = devices.titles("attention", "Attention")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The heads are the model's."""

    name: str
    kernels: Literal["auto"] | Kernel | tuple[Kernel, ...]
    sequence_lengths: Literal["auto"] | int | tuple[int, ...]
    causal: bool
    dtype: Literal["auto", "bf16", "fp16", "fp32"]
    passes: tuple[Literal["forward", "backward"], ...]
    micro_batch: int = bounded(least=1)
    seconds: float = bounded(above=0)
    seed: int = bounded(least=0, most=2**32 - 1)


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The ranks. Raises BadRequest for lengths that are none, and for a model without heads of one size."""
    job.torch_alone(request)
    job.check_lists(task, source)
    given = task.sequence_lengths
    lengths = [] if given == "auto" else [given] if isinstance(given, int) else list(given)
    if lengths and min(int(length) for length in lengths) < 1:
        raise BadRequest(f"task.sequence_lengths: {given} must be numbers of tokens above 0")
    model = request.model
    size = model.mla.query_head_size if model.mla else model.head_size
    content = {
        "kernels": [task.kernels] if isinstance(task.kernels, str) else list(task.kernels),
        "lengths": lengths,
        "batch": task.micro_batch,
        "heads": model.attention_heads,
        "kv_heads": model.attention_heads if model.mla else model.kv_heads,
        "head_size": size,
        "value_size": model.mla.value_head_size if model.mla else size,
        "causal": task.causal,
        "dtype": task.dtype,
        "passes": list(task.passes),
        "seconds": task.seconds,
        "seed": task.seed,
    }
    return job.work("benchmark.attention", content, request, source, place)


def page(rows: Rows) -> Sequence[Section]:
    """TFLOP/s over the length of a sequence, a line for each kernel; and who is slow."""
    charts = []
    for direction in ("forward", "backward"):
        found: dict[str, list[tuple[float, float]]] = {}
        for row in rows.get("attention", ()):
            if row["direction"] == direction:
                found.setdefault(row["kernel"], []).append((row["sequence"], row["tflops"]))
        lines = [(name, [x for x, _ in pairs], [y for _, y in pairs]) for name, pairs in found.items()]
        charts += [point_chart(direction.capitalize(), "tokens", "TFLOP/s", lines, zero=True)] if lines else []
    shown = [Charts("TFLOP/s over the length of a sequence", charts)] if charts else []
    return [*shown, *devices.page(rows, "attention", _COLUMNS, "tflops")]
