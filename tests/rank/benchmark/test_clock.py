"""Clocks and caches, from recorded files of the drivers."""

from pathlib import Path

import pytest

from primus.rank.benchmark import clock

# The form of docs.kernel.org/gpu/amdgpu/thermal.html, with the levels of an MI300X.
LEVELS = "S: 132Mhz\n0: 500Mhz\n1: 2100Mhz *\n"


def test_amds_clock_is_the_level_with_a_star(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:1b:00.0"
    device.mkdir(parents=True)
    (device / "pp_dpm_sclk").write_text(LEVELS)
    assert clock.of_gpu("0000:1B:00.0", tmp_path) == 2100.0


def test_a_gpu_that_sleeps_or_says_nothing_has_no_clock(tmp_path: Path) -> None:
    assert clock.of_levels("0: 500Mhz\n1: 2100Mhz\n") is None
    assert clock.of_levels("") is None
    assert clock.of_gpu("", tmp_path) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2700000\n"),
        ("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2700.000\n"),
    ],
)
def test_a_cpus_clock_is_its_drivers_or_the_kernels(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert clock.of_cpu(tmp_path) == 2700.0


def test_the_cache_of_a_cpu_is_its_largest(tmp_path: Path) -> None:
    for index, size in enumerate(("48K", "2048K", "32M")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
    assert clock.cache_of_cpu(tmp_path) == 32 << 20
    assert clock.cache_of_cpu(tmp_path / "nowhere") == 0
