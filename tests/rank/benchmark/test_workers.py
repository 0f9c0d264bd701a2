"""Real measurements on this machine's CPU. No time is asserted: what must hold of any is."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from primus.launch.config.request import Gpu, Profile
from primus.launch.task.train import job
from tests import neutral

from ..conftest import tiny
from .conftest import Measure

pytestmark = pytest.mark.torch

GEMM = {"products": [], "transposes": ["nt"], "batches": [1], "dtypes": ["auto"], "seconds": 1e-4, "seed": 1}
ATTENTION = {
    "kernels": ["auto"],
    "lengths": [16],
    "batch": 2,
    "heads": 4,
    "kv_heads": 2,
    "head_size": 8,
    "value_size": 8,
    "causal": True,
    "dtype": "auto",
    "passes": ["forward", "backward"],
    "seconds": 1e-4,
    "seed": 1,
}


def product(m: int, n: int, k: int, batch: int = 1, transpose: str = "nt", name: str = "") -> dict[str, Any]:
    return {"name": name, "m": m, "n": n, "k": k, "batch": batch, "transpose": transpose}


def test_every_product_is_a_row_and_the_roofs_lie_above_all(measure: Measure) -> None:
    products = [product(16, 32, 8, name="qkv"), product(8, 8, 8, 3, "tn")]
    ended = measure("benchmark.gemm", {**GEMM, "products": products})
    assert ended.codes == [0], ended.logs
    rows, ceilings = ended.rows["gemm"], {row["what"]: row for row in ended.rows["ceiling"]}
    assert [(row["layer"], row["dtype"], row["m"], row["batch"], row["transpose"]) for row in rows] == [
        (layer, dtype, *rest)
        for dtype in ("fp32", "bf16")
        for layer, *rest in (("qkv", 16, 1, "nt"), (None, 8, 3, "tn"))
    ]
    for row in rows:
        flops = 2 * row["batch"] * row["m"] * row["n"] * row["k"]
        assert row["tflops"] == pytest.approx(flops / row["time_p50"] / 1e6)
        assert row["time_p50"] <= row["time_p95"]
        assert row["repeats"] >= 10
        assert row["peak_share"] is None  # no peak of a CPU is published here
        assert ceilings[row["dtype"]]["tflops"] >= row["tflops"]
        assert ceilings["memory"]["bandwidth"] >= row["bandwidth"]
    assert rows[0]["intensity"] == pytest.approx(2 * 16 * 32 * 8 / (4 * (16 * 8 + 8 * 32 + 16 * 32)))
    assert [(line["step"], line["of"]) for line in ended.progress] == [(n, 7) for n in range(1, 8)]


def test_a_dtype_that_the_device_lacks_is_refused_by_name(measure: Measure) -> None:
    ended = measure("benchmark.gemm", {**GEMM, "products": [product(16, 16, 16)], "dtypes": ["fp8"]})
    assert ended.codes == [3]
    assert ended.logs[0].splitlines() == [
        "WARNING 16x16x16 in fp8 is left out: cpu has no fp8",
        "primus: none of these products can be measured here: see above",
    ]


def test_a_product_that_does_not_fit_into_memory_is_refused(measure: Measure) -> None:
    ended = measure("benchmark.gemm", {**GEMM, "products": [product(2**22, 2**22, 8)]})
    assert ended.codes == [3]
    assert "primus: 4194304x4194304x8 needs 65" in ended.logs[0]


@pytest.mark.maxtext
def test_jax_measures_the_same_rows(measure: Measure, maxtext_python: str) -> None:
    products = [product(16, 32, 8, name="qkv"), product(8, 8, 8, 3, "tn")]
    ended = measure(
        "benchmark.gemm",
        {**GEMM, "products": products, "framework": "jax", "dtypes": ["bf16"]},
        python=maxtext_python,
    )
    assert ended.codes == [0], ended.logs
    assert [(row["layer"], row["dtype"], row["n"]) for row in ended.rows["gemm"]] == [
        ("qkv", "bf16", 32),
        (None, "bf16", 8),
    ]
    assert {row["what"] for row in ended.rows["ceiling"]} == {"bf16", "memory"}


def test_every_operation_on_memory_is_a_row(measure: Measure) -> None:
    work = {"operations": ["auto"], "sizes": [4096], "pinned": [True, False], "seconds": 1e-4}
    ended = measure("benchmark.memory", work)
    assert ended.codes == [0], ended.logs
    arrays = {"copy": 2, "read": 1, "write": 1, "triad": 3}
    assert [row["operation"] for row in ended.rows["memory"]] == [*arrays]
    for row in ended.rows["memory"]:
        assert row["bandwidth"] == pytest.approx(arrays[row["operation"]] * 4096 / row["time_p50"] / 1e3)


def test_host_to_device_without_a_device_is_refused(measure: Measure) -> None:
    work = {"operations": ["to_device"], "sizes": [4096], "pinned": [True], "seconds": 1e-4}
    ended = measure("benchmark.memory", work)
    assert (ended.codes, ended.rows) == ([3], {})
    assert "primus: to_device and from_device need a GPU, and this rank has none" in ended.logs[0]


def test_attention_is_measured_by_every_kernel_that_takes_its_shapes(measure: Measure) -> None:
    ended = measure("benchmark.attention", {**ATTENTION, "kernels": ["flash", "math", "cudnn"]})
    assert ended.codes == [0], ended.logs
    rows = {(row["kernel"], row["direction"]): row for row in ended.rows["attention"]}
    assert set(rows) == {(kernel, which) for kernel in ("flash", "math") for which in ("forward", "backward")}
    (said,) = [line for line in ended.logs[0].splitlines() if "cudnn" in line]
    assert said.startswith("WARNING cudnn is left out: No viable backend for scaled_dot_product_attention was found")
    for (_, direction), row in rows.items():
        flops = 4 * 2 * 16**2 * 4 * 8 / 2 * (2.5 if direction == "backward" else 1)
        assert row["tflops"] == pytest.approx(flops / row["time_p50"] / 1e6)


def test_a_training_is_one_row_of_the_steps_after_the_warm_up(measure: Measure, tmp_path: Path) -> None:
    model, training = tiny()
    content = job.rank_file(
        neutral.backend("torchtitan"),
        model,
        neutral.data("mock"),
        dataclasses.replace(training, steps=4),
        gpu=Gpu("auto", {}),
        profile=Profile(None),
        evaluate_only=False,
    )
    content["benchmark"] = {"backend": "torchtitan", "warmup": 1, "row": {"model": "tiny", "parallel": None}}
    ended = measure("benchmark.train", json.loads(json.dumps(content)))
    assert ended.codes == [0], ended.logs
    (row,) = ended.rows["train"]
    assert (row["model"], row["ranks"], row["steps"]) == ("tiny", 1, 3)
    times = [1e3 * line["step_time"] for line in ended.progress[1:]]
    assert (row["step_time_min"], row["step_time_max"]) == (min(times), max(times))
    assert row["loss"] == ended.progress[-1]["loss"]


def test_ranks_that_measure_together_leave_a_row_of_all_and_one_of_each(measure: Measure) -> None:
    products = [product(16, 32, 8, name="qkv"), product(8, 8, 8, 3, "tn")]
    ended = measure("benchmark.gemm", {**GEMM, "products": products, "dtypes": ["fp32"]}, ranks=2)
    assert ended.codes == [0, 0], ended.logs
    each = {(row["layer"], row["rank"]): row for row in ended.rows["gemm_rank"]}
    assert set(each) == {(layer, rank) for layer in ("qkv", None) for rank in (0, 1)}
    for row in ended.rows["gemm"]:
        speeds = [each[row["layer"], rank]["tflops"] for rank in (0, 1)]
        assert row["tflops"] == pytest.approx(sum(speeds) / 2)
        assert (row["devices"], row["least"], row["total"]) == (2, min(speeds), pytest.approx(sum(speeds)))
        slowest = speeds.index(min(speeds))
        assert row["slowest"] == f"{slowest} on {each[row['layer'], slowest]['host']}"
        assert row["spread"] == pytest.approx(100 * (max(speeds) - min(speeds)) / row["tflops"])
    assert [row["what"] for row in ended.rows["ceiling_rank"]] == ["fp32", "fp32", "memory", "memory"]
    assert [(line["step"], line["of"]) for line in ended.progress] == [(n, 4) for n in range(1, 5)]


def test_so_do_ranks_that_measure_memory_and_attention(measure: Measure) -> None:
    memory = {"operations": ["copy", "triad"], "sizes": [4096], "pinned": [True], "seconds": 1e-4}
    attention = {**ATTENTION, "kernels": ["math"], "passes": ["forward"]}
    for kind, content, count in (("memory", memory, 2), ("attention", attention, 1)):
        ended = measure(f"benchmark.{kind}", content, ranks=2)
        assert ended.codes == [0, 0], ended.logs
        assert [row["devices"] for row in ended.rows[kind]] == [2] * count
        assert [row["rank"] for row in ended.rows[f"{kind}_rank"]] == [0, 1] * count
