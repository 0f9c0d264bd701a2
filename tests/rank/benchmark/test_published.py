"""Published peaks, by the name that the driver gives a GPU."""

import pytest

from primus.launch.config.request import Gpu
from primus.launch.task.benchmark.job import published
from primus.rank.benchmark.published import of_device, share


def test_a_gpu_is_found_by_its_name_and_a_cpu_has_no_peaks() -> None:
    every = published(Gpu("auto", {}))
    assert of_device(every, "NVIDIA H200").tflops["bf16"] == 989.5
    assert of_device(every, "NVIDIA H200").memory_bandwidth == 4800
    assert of_device(every, "cpu").tflops == {}


def test_the_share_is_in_percent_and_unknown_without_a_peak() -> None:
    assert share(494.75, 989.5) == pytest.approx(50.0)
    assert share(1.0, None) is None
