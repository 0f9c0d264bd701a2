"""The GPU profiles are data: every one is complete, says its sources, and is for its own GPUs alone."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from primus.launch import gpus
from primus.launch.config import catalog
from primus.launch.config.request import Gpu
from primus.node.devices import AMD_MODELS, VISIBILITY, is_one_of
from primus.node.plan import from_json

from ..conftest import Primus

FOLDER = catalog.conf_dir() / "gpu"
NAMED = {"mi210", "mi250x", "mi300x", "mi325x", "mi350x", "mi355x", "a100", "h100", "h200", "b200"}

each = pytest.mark.parametrize("profile", gpus.profiles(), ids=lambda profile: profile.name)


def test_every_gpu_that_is_named_in_the_manual_has_a_profile_and_each_vendor_a_plain_one() -> None:
    assert {profile.name for profile in gpus.profiles()} == NAMED
    assert [profile.name for profile in gpus.every()[-2:]] == ["amd", "nvidia"]


@each
def test_a_profile_says_how_it_is_recognised_and_what_its_gpu_can_do(profile: Gpu) -> None:
    assert re.fullmatch("gfx9[0-9a-f]+|sm_[0-9]+", profile.architecture or "")
    assert profile.pci
    assert all(id.startswith({"amd": "1002:", "nvidia": "10de:"}[profile.vendor or ""]) for id in profile.pci)
    assert {"fp64", "fp32", "bf16", "fp16"} <= set(profile.tflops)
    assert profile.links


def test_no_gpu_is_of_two_profiles() -> None:
    for one, other in combinations(gpus.profiles(), 2):
        assert not set(one.pci) & set(other.pci)
        assert not any(is_one_of(name, other.devices) for name in one.devices)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("AMD Instinct MI300X", "mi300x"),
        ("MI210", "mi210"),
        ("MI250X", "mi250x"),
        ("AMD INSTINCT MI250 (MCM) OAM AC MBA", "mi250x"),
        ("MI300X", "mi300x"),
        ("MI300X OAM", "mi300x"),
        ("MI325X", "mi325x"),
        ("MI355X", "mi355x"),
        ("AMD Instinct MI300X VF", "mi300x"),
        ("AMD Instinct MI250X / MI250", "mi250x"),
        ("AMD Instinct MI210", "mi210"),
        ("AMD Instinct MI350X", "mi350x"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA B200", "b200"),
    ],
)
def test_the_names_that_drivers_give_are_recognised_in_their_variants(driver: str, name: str) -> None:
    assert [profile.name for profile in gpus.profiles() if is_one_of(driver, profile.devices)] == [name]


def test_what_sound_h200s_reached_in_the_smoke_test_passes_with_room_and_four_fifths_of_it_fail() -> None:
    (h200,) = (profile for profile in gpus.profiles() if profile.name == "h200")
    least, seen = h200.smoke, {"gemm": (681.5, 683.2), "memory": (4191.4, 4211.5), "all_reduce": (300.7, 300.7)}
    assert least
    assert h200.link_bandwidth
    assert h200.memory_bandwidth
    demanded = {
        "gemm": (least.gemm or 0) * h200.tflops["bf16"],
        "memory": (least.memory or 0) * h200.memory_bandwidth,
        "all_reduce": (least.all_reduce or 0) * h200.link_bandwidth,
    }
    for name, reached in seen.items():
        assert 0.8 * max(reached) < demanded[name] < 0.9 * min(reached)


@pytest.mark.parametrize(
    ("name", "memory", "all_reduce"),
    [
        ("mi210", 0.85 * 1230, None),
        ("mi250x", 0.85 * 1200, 0.6 * 125),
        ("mi300x", 0.6 * 5300, 0.6 * 304),
        ("mi350x", None, 0.6 * 304),
    ],
)
def test_where_a_profile_demands_nothing_in_the_smoke_test_its_vendor_does(
    primus: Primus, name: str, memory: float | None, all_reduce: float | None
) -> None:
    (file,) = from_json(primus("task=smoke", f"gpu={name}", "dry_run=json").out).files
    (least,) = json.loads(file.text)["least"]
    assert (least["memory"], least["all_reduce"]) == (pytest.approx(memory), pytest.approx(all_reduce))
    assert least["gpus"] == (8 if all_reduce else None)


def test_the_name_that_a_node_gives_an_amd_gpu_is_of_the_profile_of_its_pci_id() -> None:
    for profile in gpus.profiles():
        for id in (id for id in profile.pci if id.startswith("1002:")):
            assert is_one_of(f"AMD Instinct {AMD_MODELS[int(id[5:], 16)]}", profile.devices)


# https://github.com/ROCm/gpu-operator/blob/6df13c1/helm-charts-k8s/templates/gpu-nfd-default-rule.yaml
VIRTUAL = {
    "mi210": "1002:7410",
    "mi300x": "1002:74b5",
    "mi325x": "1002:74b9",
    "mi350x": "1002:75b0",
    "mi355x": "1002:75b3",
}


def test_a_virtual_function_is_of_the_profile_of_its_gpu() -> None:
    for name, id in VIRTUAL.items():
        assert [profile.name for profile in gpus.profiles() if id in profile.pci] == [name]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_value_of_the_environment_has_its_reason_and_its_source_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    for name in yaml.safe_load(path.read_text())["environment"]:
        at = next(n for n, line in enumerate(lines) if line.strip().startswith(f"{name}:"))
        above = []
        while lines[at - 1].startswith("  # "):
            at -= 1
            above.append(lines[at])
        assert len(above) > 1, f"{name} has no reason"
        assert any("https://" in line for line in above), f"{name} has no source"


@each
def test_no_profile_hides_devices_or_decides_on_the_network(profile: Gpu) -> None:
    """NCCL_PXN_DISABLE as a default of all GPUs broke clusters of other adapters; *_VISIBLE_DEVICES are the user's."""
    assert not set(VISIBILITY) & set(profile.environment)
    assert not [name for name in profile.environment if name.startswith(("NCCL_", "RCCL_", "GLOO_"))]
