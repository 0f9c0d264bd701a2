"""With `gpu=auto` a plan holds the environment of every GPU profile, and each node takes that of its GPUs."""

from pathlib import Path

import pytest

from primus.node import environment, profile
from primus.node.devices import NONE, Devices, detect
from primus.node.plan import Gpus, Layer, Variable

from . import recorded


def conditional(name: str, only: Gpus) -> Layer:
    return Layer(profile.LAYER, (Variable("TUNED_FOR", name, f"conf/gpu/{name}.yaml"),), only)


LAYERS = (
    conditional("h200", Gpus("h200", "nvidia", ("10de:2335",), ("NVIDIA H200",))),
    conditional("mi300x", Gpus("mi300x", "amd", ("1002:74a1", "1002:74b5"), ("*MI300X*",))),
    conditional("amd", Gpus("amd", "amd")),
    conditional("nvidia", Gpus("nvidia", "nvidia")),
    Layer("user", (Variable("MINE", "1", "env.set.MINE"),)),
)


def gpus(vendor: str, model: str, *pci: str) -> Devices:
    return Devices(vendor, model, 8, tuple("01234567"), "1.0", pci)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (gpus("nvidia", "NVIDIA H200"), "h200"),
        (gpus("nvidia", "Unknown", "10de:2335"), "h200"),
        (gpus("amd", "AMD Instinct MI300X", "1002:74a1"), "mi300x"),
        (gpus("amd", "MI300X OAM"), "mi300x"),
        (gpus("amd", "AMD gfx942", "1002:74b5", "1002:74a1"), "mi300x"),
    ],
)
def test_a_node_takes_the_profile_of_its_gpus_by_pci_id_or_name(found: Devices, name: str) -> None:
    chosen = profile.choose(LAYERS, found)
    assert (chosen.profile, chosen.warning) == (name, None)
    assert [variable.value for layer in chosen.layers for variable in layer.variables] == [name, "1"]


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (gpus("nvidia", "NVIDIA H200 NVL", "10de:233b"), "nvidia"),
        (gpus("amd", "AMD gfx1201", "1002:7550"), "amd"),
        (gpus("nvidia", "NVIDIA H200, NVIDIA L4", "10de:2335", "10de:27b8"), "nvidia"),
    ],
)
def test_a_gpu_that_no_profile_is_for_gets_the_plain_one_of_its_vendor_and_a_warning_how_to_add_one(
    found: Devices, name: str
) -> None:
    chosen = profile.choose(LAYERS, found)
    assert chosen.profile == name
    assert chosen.warning
    assert f"no profile is for {found.model} (PCI {', '.join(found.pci)})" in chosen.warning
    assert "write gpu/<name>.yaml in a directory for --config-dir" in chosen.warning


def test_a_node_of_two_h200s_takes_their_profile(tmp_path: Path) -> None:
    chosen = profile.choose(LAYERS, detect("auto", {}, recorded.tree(tmp_path)))
    assert (chosen.profile, chosen.warning) == ("h200", None)


def test_a_node_without_gpus_takes_none_and_says_nothing() -> None:
    assert profile.choose(LAYERS, NONE) == profile.Chosen(LAYERS[-1:])


def test_a_profile_that_was_named_is_unconditional() -> None:
    layers = (Layer(profile.LAYER, (Variable("A", "1", "conf/gpu/mine.yaml"),)),)
    assert profile.choose(layers, gpus("amd", "AMD gfx1201")) == profile.Chosen(layers)


def test_devices_are_looked_for_without_the_environment_of_gpus_that_are_not_known_yet() -> None:
    assert environment.overlay({}, LAYERS) == {"MINE": "1"}
