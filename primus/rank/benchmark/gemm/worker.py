"""The rank of `task=benchmark/gemm`."""

from collections.abc import Iterator
from typing import Any

from primus.node.typed import read
from primus.rank.benchmark import published
from primus.rank.benchmark.devices import Devices
from primus.rank.benchmark.gemm import job
from primus.rank.benchmark.gemm.engine import Engine
from primus.rank.benchmark.gemm.job import Job, Product
from primus.rank.benchmark.published import Published, share
from primus.rank.benchmark.timing import Times, copies
from primus.rank.problems import UNFIT, Refused

_SETS = {"gpu": 16, "cpu": 4}
"""Sets of operands at most: a CPU takes longer to make random ones than to multiply them."""
_COPIED = {"gpu": 1 << 30, "cpu": 128 << 20}
"""Bytes copied to learn the memory's bandwidth."""


def run(rank: dict[str, Any]) -> None:
    """Measure every product, then the ceilings. Raises Refused where the devices can do none of what was asked."""
    work = read(Job, rank)
    engine = _engine(work.framework)
    with Devices() as devices:
        _measure_all(work, engine, devices)


def _measure_all(work: Job, engine: Engine, devices: Devices) -> None:
    known = published.of_device(work.gpus, engine.name)
    dtypes = engine.dtypes() if work.dtypes == ("auto",) else work.dtypes
    own = [case for case in job.cases(work, engine.kind, dtypes) if not _left_out(engine, *case)]
    cases = devices.agree(own, lambda case: f"{_name(case[0])}, {case[0].batch} x {case[0].transpose} in {case[1]}")
    if not cases:
        raise Refused("none of these products can be measured here: see above", UNFIT)
    measured = list(dict.fromkeys(dtype for _, dtype in cases))
    steps = len(cases) + len(measured) + 1
    rows = []
    for done, (product, dtype) in enumerate(cases, 1):
        rows.append(_row(product, dtype, measure(engine, product, dtype, work), known))
        devices.row("gemm", "tflops", rows[-1])
        devices.progress(done, steps)
    for done, row in enumerate(_ceilings(engine, work, known, measured, rows), len(cases) + 1):
        devices.row("ceiling", "tflops" if "tflops" in row else "bandwidth", row)
        devices.progress(done, steps)


def measure(engine: Engine, product: Product, dtype: str, work: Job) -> Times:
    """Time one product. Raises Refused where the device has no room for it."""
    size = product.moved(dtype)
    room = engine.room()
    if size > room:
        raise Refused(f"{_name(product)} needs {size / 2**30:.1f} GiB, and {room / 2**30:.1f} GiB are free", UNFIT)
    sets = copies(size, engine.cache, room, _SETS[engine.kind])
    return engine.measure(engine.calls(product, dtype, sets, work.seed), work.seconds)


def _engine(framework: str) -> Engine:
    if framework == "jax":
        from primus.rank.benchmark.gemm.with_jax import JaxEngine

        return JaxEngine()
    from primus.rank.benchmark.gemm.with_torch import TorchEngine

    return TorchEngine()


def _left_out(engine: Engine, product: Product, dtype: str) -> bool:
    why = engine.lacks(product, dtype)
    if why:
        print(f"WARNING {_name(product)} in {dtype} is left out: {why}", flush=True)
    return why is not None


def _row(product: Product, dtype: str, times: Times, known: Published) -> dict[str, Any]:
    """`time_*` in microseconds, `bandwidth` in GB/s of what must be moved at least, `peak_share` in percent."""
    tflops, moved = _tflops(product, times), product.moved(dtype)
    return {
        "layer": product.name or None,
        "dtype": dtype,
        "m": product.m,
        "n": product.n,
        "k": product.k,
        "batch": product.batch,
        "transpose": product.transpose,
        "tflops": tflops,
        "peak_share": share(tflops, known.tflops.get(dtype)),
        "time_p50": 1e6 * times.p50,
        "time_p95": 1e6 * times.p95,
        "bandwidth": moved / times.p50 / 1e9,
        "intensity": product.flops / moved,
        "clock": times.clock,
        "repeats": len(times.seconds),
    }


def _ceilings(
    engine: Engine, work: Job, known: Published, dtypes: list[str], rows: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """What the device can do at most: a large square product in each dtype, and a copy; or what was faster above."""
    size = job.TOP[engine.kind]
    for dtype in dtypes:
        square = Product("", size, size, size, 1, "nt")
        found = [_tflops(square, measure(engine, square, dtype, work))]
        tflops = max(found + [row["tflops"] for row in rows if row["dtype"] == dtype])
        peak = known.tflops.get(dtype)
        yield {"what": dtype, "tflops": tflops, "published": peak, "share": share(tflops, peak)}
    copied = _COPIED[engine.kind]
    times = engine.measure([engine.copy(copied)], work.seconds)
    bandwidth = max([2 * copied / times.p50 / 1e9, *(row["bandwidth"] for row in rows)])  # a copy reads and writes
    peak = known.memory_bandwidth
    yield {"what": "memory", "bandwidth": bandwidth, "published": peak, "share": share(bandwidth, peak)}


def _tflops(product: Product, times: Times) -> float:
    return product.flops / times.p50 / 1e12


def _name(product: Product) -> str:
    sizes = f"{product.m}x{product.n}x{product.k}"
    return f"{product.name} {sizes}" if product.name else sizes
