"""The roofline of a device."""

from primus.launch.results import roofline
from primus.launch.task.benchmark import gemm


def point(intensity: float, tflops: float, dtype: str = "bf16") -> dict[str, object]:
    return {"dtype": dtype, "intensity": intensity, "tflops": tflops, "m": 1, "n": 2, "k": 3, "layer": "qkv"}


CEILINGS = [{"what": "bf16", "tflops": 800.0}, {"what": "memory", "bandwidth": 4000.0}]


def test_a_roof_rises_with_memory_and_is_flat_from_the_ridge_on() -> None:
    ceilings = [{"what": "bf16", "tflops": 1288.6}, CEILINGS[1]]
    chart = roofline.chart([point(10.0, 30.0), point(2000.0, 700.0)], ceilings)
    assert chart
    roof, points = chart.traces
    assert roof["x"] == [2.5, 322.15, 8000.0]  # the ridge: 1288.6 TFLOP/s at 4 TB/s
    assert roof["y"] == [10.0, 1288.6, 1288.6]
    assert (chart.title, roof["name"]) == (
        "Products under the measured roofs; memory 4,000 GB/s",
        "bf16: 1,289 TFLOP/s",
    )
    assert (points["x"], points["y"], points["text"]) == ([10.0, 2000.0], [30.0, 700.0], ["qkv 1x2x3"] * 2)


def test_a_dtype_without_a_ceiling_has_points_alone() -> None:
    chart = roofline.chart([point(10.0, 30.0, "fp16")], CEILINGS)
    assert chart
    assert [trace["mode"] for trace in chart.traces] == ["markers"]


def test_without_a_measured_memory_there_is_no_roofline() -> None:
    assert roofline.chart([point(10.0, 30.0)], CEILINGS[:1]) is None
    assert gemm.page({}) == []
