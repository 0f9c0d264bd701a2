"""Columns and rows for tests of what is made of results."""

from typing import Any

from primus.launch.results import Column, key

PRODUCTS = (
    key("dtype"),
    key("m"),
    Column("tflops", "TFLOP/s", digits=2, better="higher"),
    Column("time_p50", "time p50", "µs", 1, better="lower"),
    Column("clock", "clock", "MHz", 0),
)


def row(m: int, tflops: float | None, time: float | None = None, **more: Any) -> dict[str, Any]:
    """A row of the kind `gemm`."""
    return {"kind": "gemm", "time": 1.0, "dtype": "bf16", "m": m, "tflops": tflops, **more} | (
        {"time_p50": time} if time else {}
    )
