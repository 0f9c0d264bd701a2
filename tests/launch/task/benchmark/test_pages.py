"""What reports of benchmarks and of the smoke test draw, of figures that two H200s gave on 21 November 2026."""

from typing import Any

from plotly.graph_objects import Figure

from primus.launch.report.charts import Chart
from primus.launch.report.page import Charts
from primus.launch.results import Rows
from primus.launch.task import smoke
from primus.launch.task.benchmark import collectives, memory


def drawn(module: Any, rows: Rows) -> list[Chart]:
    """The charts of a task, once plotly has checked them."""
    charts = [chart for section in module.page(rows) if isinstance(section, Charts) for chart in section.charts]
    for chart in charts:
        Figure(data=list(chart.traces), layout=chart.layout)
    return charts


def test_bandwidth_of_collectives_is_linear_over_sizes_that_are_not_and_times_are_not() -> None:
    rows = [
        {
            "operation": "all_reduce",
            "groups": "all",
            "dtype": "fp32",
            "bytes": size,
            "bus_bandwidth": bus,
            "time_mean": t,
        }
        for size, bus, t in ((1 << 10, 0.029, 33.0), (1 << 22, 113.5, 35.3), (1 << 30, 327.3, 3286.8))
    ]
    bandwidth, time = drawn(collectives, {"collective": rows})
    assert bandwidth.layout["xaxis"]["type"] == time.layout["xaxis"]["type"] == time.layout["yaxis"]["type"] == "log"
    assert "type" not in bandwidth.layout["yaxis"]
    assert bandwidth.layout["yaxis"]["rangemode"] == "tozero"
    assert bandwidth.layout["xaxis"]["ticktext"] == ["1K", "4M", "1G"]


def test_transfers_between_host_and_device_are_not_drawn_below_memory_that_is_a_hundred_times_as_fast() -> None:
    rows = [
        {"operation": "copy", "pinned": None, "size": 64.0, "bandwidth": 3640.9},
        {"operation": "to_device", "pinned": True, "size": 64.0, "bandwidth": 54.8},
        {"operation": "to_device", "pinned": False, "size": 64.0, "bandwidth": 17.3},
    ]
    within, between = drawn(memory, {"memory": rows})
    assert [trace["name"] for trace in within.traces] == ["copy"]
    assert [trace["name"] for trace in between.traces] == ["to device, pinned", "to device, pageable"]
    assert len(drawn(memory, {"memory": rows[:1]})) == 1


def test_the_smoke_test_shows_what_is_demanded_of_each_gpu_beside_what_it_reached() -> None:
    row = {"node": "n", "gpu": "gpu 0", "state": "pass", "gemm": 683.2, "gemm_least": 573.9, "memory": 4211.5}
    gemm, copy = drawn(smoke, {"gpu": [row]})
    assert (gemm.title, gemm.traces[1]["name"]) == ("GEMM", "at least 574 TFLOP/s demanded")
    assert (gemm.traces[1]["x"], gemm.traces[1]["y"]) == ([573.9], [0])
    assert (copy.title, len(copy.traces)) == ("Memory", 1)  # nothing is demanded of this GPU's memory
