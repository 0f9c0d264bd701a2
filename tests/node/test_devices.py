"""Accelerators, from the drivers' files as real machines have them."""

from pathlib import Path

import pytest

from primus.node.devices import (
    NONE,
    Devices,
    NoDevices,
    addresses,
    check,
    detect,
    gfx,
    hidden,
    is_one_of,
    restrict,
    words,
)

from . import recorded

H200 = """Model: \t\t NVIDIA H200
IRQ:   \t\t {irq}
GPU UUID: \t GPU-{uuid}
Video BIOS: \t 96.00.bc.00.03
Bus Type: \t PCIe
DMA Size: \t 52 bits
DMA Mask: \t 0xfffffffffffff
Bus Location: \t 0000:{bus}:00.0
Device Minor: \t {minor}
GPU Firmware: \t 580.95.05
GPU Excluded:\t No
"""
NVRM = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)  \
Tue Sep 23 10:11:16 UTC 2025
GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)
"""
KFD_CPU = """cpu_cores_count 96
simd_count 0
mem_banks_count 1
gfx_target_version 0
vendor_id 0
device_id 0
unique_id 0
drm_render_minor 0
"""
KFD_GPU = """cpu_cores_count 0
simd_count 1216
mem_banks_count 1
caches_count 500
simd_id_base 2147487744
max_waves_per_simd 8
lds_size_in_kb 64
wave_front_size 64
array_count 32
simd_per_cu 4
gfx_target_version 90402
vendor_id 4098
device_id {device}
location_id 1280
drm_render_minor {minor}
num_sdma_engines 2
unique_id {unique}
num_xcc 8
max_engine_clk_ccompute 3700
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def h200(tmp_path: Path) -> Path:
    """A node of four H200."""
    for minor, bus in enumerate(("1b", "43", "52", "61")):
        text = H200.format(irq=100 + minor, uuid=f"{minor}a2b3c4d-0000-1111-2222-333344445555", bus=bus, minor=minor)
        write(tmp_path / f"proc/driver/nvidia/gpus/0000:{bus}:00.0/information", text)
        write(tmp_path / f"dev/nvidia{minor}", "")
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
        write(tmp_path / "dev" / name, "")
    write(tmp_path / "proc/driver/nvidia/version", NVRM)
    return tmp_path


@pytest.fixture
def mi300x(tmp_path: Path) -> Path:
    """A node of two CPUs and two MI300X."""
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    write(nodes / "0/properties", KFD_CPU)
    write(nodes / "1/properties", KFD_CPU)
    write(nodes / "2/properties", KFD_GPU.format(device=0x74A1, minor=128, unique=0x1122334455667788))
    write(nodes / "10/properties", KFD_GPU.format(device=0x74A1, minor=136, unique=0x99AABBCCDDEEFF00))
    write(tmp_path / "dev/dri/renderD128", "")
    write(tmp_path / "dev/dri/renderD136", "")
    write(tmp_path / "sys/module/amdgpu/version", "6.14.14\n")
    return tmp_path


def test_two_h200s_of_a_virtual_machine(tmp_path):
    found = detect("auto", {}, recorded.tree(tmp_path))
    assert found == Devices("nvidia", "NVIDIA H200", 2, ("0", "1"), "580.159.04", ("10de:2335",))
    assert addresses(found, {}, tmp_path) == ("0000:00:06.0", "0000:00:07.0")
    environ = {"CUDA_VISIBLE_DEVICES": "GPU-452fe726-57b8-7623-1ec6-20e8ba027bf4"}
    assert addresses(detect("auto", environ, tmp_path), environ, tmp_path) == ("0000:00:07.0",)


def test_the_pci_ids_of_gpus_are_read_where_the_driver_may_give_no_name(h200):
    assert detect("auto", {}, h200).pci == ()
    for bus in ("1b", "43", "52", "61"):
        write(h200 / f"sys/bus/pci/devices/0000:{bus}:00.0/vendor", "0x10de\n")
        write(h200 / f"sys/bus/pci/devices/0000:{bus}:00.0/device", "0x2335\n")
    assert detect("auto", {}, h200).pci == ("10de:2335",)


def test_a_machine_without_accelerators_is_a_cpu(tmp_path):
    assert detect("auto", {}, tmp_path) == NONE
    assert hidden(tmp_path) == {}


def test_nvidia_gpus_are_named_counted_and_their_driver_read(h200):
    found = detect("auto", {}, h200)
    assert (found.vendor, found.model, found.count) == ("nvidia", "NVIDIA H200", 4)
    assert (found.visible, found.driver) == (("0", "1", "2", "3"), "580.95.05")


@pytest.mark.parametrize(
    ("value", "visible"),
    [
        ("2,0", ("2", "0")),
        ("", ()),
        ("-1", ()),
        ("0,9,1", ("0",)),
        (" 1 , 3 ", ("1", "3")),
        ("GPU-1a2b3c4d-0000-1111-2222-333344445555", ("GPU-1a2b3c4d-0000-1111-2222-333344445555",)),
        ("GPU-3a2b", ("GPU-3a2b",)),
        ("GPU-ffff", ()),
        ("MIG-9c1f3fa8-6a5b-5c0e-9d7e-0123456789ab", ("MIG-9c1f3fa8-6a5b-5c0e-9d7e-0123456789ab",)),
    ],
)
def test_cuda_visible_devices_is_read_as_the_driver_does(h200, value, visible):
    found = detect("auto", {"CUDA_VISIBLE_DEVICES": value}, h200)
    assert (found.visible, found.count, found.vendor) == (visible, len(visible), "nvidia")


def test_gpus_whose_device_files_a_container_lacks_are_not_counted(h200):
    (h200 / "dev/nvidia0").unlink()
    (h200 / "dev/nvidia2").unlink()
    assert detect("auto", {}, h200).count == 2


def test_device_files_alone_are_counted(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        write(tmp_path / "dev" / name, "")
    found = detect("auto", {}, tmp_path)
    assert (found.model, found.count, found.driver) == ("NVIDIA GPU", 2, "")


def test_amd_gpus_are_named_counted_and_their_driver_read(mi300x):
    found = detect("auto", {}, mi300x)
    assert (found.vendor, found.model, found.count) == ("amd", "AMD Instinct MI300X", 2)
    assert (found.visible, found.driver, found.pci) == (("0", "1"), "6.14.14", ("1002:74a1",))


def test_nodes_are_compared_by_the_names_of_their_gpus_and_their_driver(h200):
    assert words(detect("auto", {}, h200)) == "NVIDIA H200, driver 580.95.05"
    assert words(NONE) == ""


def test_an_amd_gpu_without_a_known_name_is_called_by_its_architecture(mi300x):
    nodes = mi300x / "sys/class/kfd/kfd/topology/nodes"
    write(nodes / "2/properties", KFD_GPU.format(device=0x1234, minor=128, unique=1))
    write(nodes / "10/properties", KFD_GPU.format(device=0x1234, minor=136, unique=2))
    assert detect("auto", {}, mi300x).model == "AMD gfx942"


@pytest.mark.parametrize(
    ("version", "name"), [(90402, "gfx942"), (90010, "gfx90a"), (90500, "gfx950"), (120001, "gfx1201")]
)
def test_architectures_have_the_compilers_names(version, name):
    assert gfx(version) == name


def test_an_amd_gpu_that_a_container_may_not_use_is_not_counted(mi300x):
    (mi300x / "dev/dri/renderD128").unlink()
    assert detect("auto", {}, mi300x).count == 1


@pytest.mark.parametrize(
    ("environ", "visible"),
    [
        ({"HIP_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, ("0",)),
        ({"ROCR_VISIBLE_DEVICES": "1"}, ("0",)),
        ({"ROCR_VISIBLE_DEVICES": "GPU-99aabbccddeeff00"}, ("0",)),
        ({"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "1"}, ()),
        ({"HIP_VISIBLE_DEVICES": ""}, ()),
        ({"ROCR_VISIBLE_DEVICES": ""}, ()),
    ],
)
def test_hip_devices_count_within_what_rocr_leaves(mi300x, environ, visible):
    assert detect("auto", environ, mi300x).visible == visible


def test_a_job_that_asks_for_the_cpu_gets_no_gpu_and_hides_those_there_are(h200):
    assert detect("cpu", {}, h200) == NONE
    assert hidden(h200) == {"CUDA_VISIBLE_DEVICES": "-1"}


def test_hidden_amd_gpus_are_hidden_from_hip(mi300x):
    assert hidden(mi300x) == {"HIP_VISIBLE_DEVICES": "-1"}


def test_a_job_may_be_given_some_of_the_visible_devices(h200):
    found = restrict(detect("auto", {"CUDA_VISIBLE_DEVICES": "3,1"}, h200), ["1"])
    assert (found.count, found.visible, found.variable) == (1, ("1",), "CUDA_VISIBLE_DEVICES")
    with pytest.raises(ValueError, match="device 7 is not visible on this node; there are: 3, 1"):
        restrict(detect("auto", {"CUDA_VISIBLE_DEVICES": "3,1"}, h200), ["7"])


def test_a_profile_of_gpus_finds_the_same_devices_as_auto(h200):
    assert detect("h200", {}, h200) == detect("auto", {}, h200)


def test_a_profile_of_gpus_needs_some():
    for gpu in ("auto", "cpu"):
        assert check(gpu, (), NONE) is None
    with pytest.raises(NoDevices, match=r"gpu=h200, and this node has no GPU .* or take gpu=auto or gpu=cpu"):
        check("h200", ("NVIDIA H200",), NONE)


def test_gpus_of_another_model_than_the_profile_are_told():
    found = Devices("nvidia", "NVIDIA H100 80GB HBM3", 8, tuple("01234567"), "580")
    assert check("h100", ("NVIDIA H100 80GB HBM3",), found) is None
    assert check("mine", (), found) is None
    assert (check("h200", ("NVIDIA H200",), found) or "").startswith(
        "gpu=h200, but this node has NVIDIA H100 80GB HBM3: the profile's environment"
    )


def test_a_pattern_is_of_the_whole_name_and_of_any_case():
    assert is_one_of("AMD Instinct MI300X VF", ["*mi300x*"])
    assert is_one_of("NVIDIA H200", ["NVIDIA H100*", "NVIDIA H200"])
    assert not is_one_of("NVIDIA H200 NVL", ["NVIDIA H200"])
    assert not is_one_of("NVIDIA GH200 480GB", ["NVIDIA H200"])


def test_files_that_hold_something_else_are_no_crash(tmp_path):
    write(tmp_path / "proc/driver/nvidia/gpus/0000:1b:00.0/information", "\x00garbage")
    write(tmp_path / "sys/class/kfd/kfd/topology/nodes/x/properties", "simd_count many\n")
    found = detect("auto", {}, tmp_path)
    assert (found.vendor, found.model, found.driver) == ("nvidia", "NVIDIA GPU", "")
    (tmp_path / "proc/driver/nvidia/gpus/0000:1b:00.0/information").unlink()
    assert detect("auto", {}, tmp_path) == NONE
