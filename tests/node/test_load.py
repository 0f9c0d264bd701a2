"""The load of the host and its GPUs."""

import json
import os
import time

import pytest

from primus.node import rundir
from primus.node.devices import Devices
from primus.node.load import Load, gpu_figures
from primus.node.loop import Loop

from ..conftest import PATIENCE

GPUS = Devices("nvidia", "NVIDIA H200", 2, ("0", "1"), "580")
SMI = """#!/bin/sh
echo "$@" > "$0.asked"
echo "0, 97, 120345, 612.34, 58"
echo "1, 0, 4, [N/A], 30"
exec sleep 600
"""


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        (
            "0, 97, 100, 612.5, 58",
            {
                "gpu0_utilization_percent": 97.0,
                "gpu0_memory_used": 100.0 * (1 << 20),
                "gpu0_power_watts": 612.5,
                "gpu0_temperature_celsius": 58.0,
            },
        ),
        ("3, [N/A], 4, [N/A], [Unknown Error]", {"gpu3_memory_used": 4.0 * (1 << 20)}),
        ("Unable to determine the device handle for GPU0000:1B:00.0: Unknown Error", {}),
        ("No devices were found", {}),
        ("", {}),
    ],
)
def test_figures_are_what_nvidia_smi_knows(line, figures):
    assert gpu_figures(line) == figures


def sampled(tmp_path, monkeypatch, tool):
    """Samples and messages of a moment with this program as nvidia-smi, which has had the time to say its words."""
    program = tmp_path / "nvidia-smi"
    if tool is not None:
        program.write_text(tool)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    said, loop, path = [], Loop(), tmp_path / "node-0.jsonl"
    load = Load(loop, path, 0.05, GPUS, lambda text, level: said.append(text))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        loop.turn()
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= 3 and ("gpu1_memory_used" in lines[-1] if tool is SMI else said):
            break
    load.stop()
    loop.close()
    return [json.loads(line) for line in path.read_text().splitlines()], said


def test_one_nvidia_smi_serves_all_samples(tmp_path, monkeypatch):
    samples, said = sampled(tmp_path, monkeypatch, SMI)
    assert samples[-1]["gpu0_utilization_percent"] == 97.0
    assert samples[-1]["gpu1_temperature_celsius"] == 30.0
    assert "gpu1_power_watts" not in samples[-1]
    assert "-i 0,1" in (tmp_path / "nvidia-smi.asked").read_text()
    assert said == []


def test_without_nvidia_smi_the_host_is_sampled_all_the_same(tmp_path, monkeypatch):
    samples, said = sampled(tmp_path, monkeypatch, None)
    assert samples[-1]["memory_used"] > 0
    assert said == ["no figures of the GPUs: nvidia-smi: No such file or directory"]


def test_an_nvidia_smi_that_dies_is_said_once(tmp_path, monkeypatch):
    samples, said = sampled(tmp_path, monkeypatch, "#!/bin/sh\necho 0, 50, 1, 1, 1\nexit 9\n")
    assert len(samples) >= 3
    assert said == ["no more figures of the GPUs: nvidia-smi has ended"]


def test_a_sample_is_one_whole_line_of_flat_numbers(make):
    run = make("import time; time.sleep(0.2)", metrics_interval=0.05)
    run.finish()
    for line in run.text(rundir.host_metrics(0)).splitlines():
        assert all(isinstance(value, (int, float)) for value in json.loads(line).values())
