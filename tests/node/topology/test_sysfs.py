"""A node's topology, from the kernel's files."""

from pathlib import Path

import pytest

from primus.node import devices
from primus.node.topology import Pci, distance, matrix, sysfs

from .. import recorded
from . import machines


def test_a_node_of_nvidia_gpus(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    found = sysfs.survey(tmp_path)
    assert [(node.number, len(node.cores), node.memory, node.distances) for node in found.numa] == [
        (0, 32, 512 << 30, (10, 21)),
        (1, 32, 512 << 30, (21, 10)),
    ]
    assert [(gpu.name, gpu.model, gpu.pci.address, gpu.pci.numa) for gpu in found.gpus] == [
        ("GPU0", "NVIDIA H200", "0000:1a:00.0", 0),
        ("GPU1", "NVIDIA H200", "0000:3a:00.0", 0),
        ("GPU2", "NVIDIA H200", "0000:9a:00.0", 1),
        ("GPU3", "NVIDIA H200", "0000:ba:00.0", 1),
    ]
    assert [(nic.name, nic.kind, nic.rate, nic.up) for nic in found.nics] == [
        *((f"mlx5_{n}", "infiniband", "400 Gb/sec (4X NDR)", True) for n in range(4)),
        ("eth0", "ethernet", "25 Gb/sec", True),
    ]
    between = found.between()
    assert [between["GPU0", name] for name in ("GPU1", "GPU2", "mlx5_0", "mlx5_1", "mlx5_2", "eth0")] == [
        "NODE", "SYS", "PIX", "NODE", "SYS", "NODE",
    ]  # fmt: skip
    assert found.findings == ()


def test_a_virtual_machine_with_two_h200s_on_one_bus(tmp_path: Path) -> None:
    found = sysfs.survey(recorded.tree(tmp_path))
    assert found.cpu == "Intel(R) Xeon(R) Processor"
    assert [(gpu.model, gpu.pci.address, gpu.pci.numa, gpu.pci.speed, gpu.pci.width) for gpu in found.gpus] == [
        ("NVIDIA H200", "0000:00:06.0", None, "32.0 GT/s PCIe", 16),
        ("NVIDIA H200", "0000:00:07.0", None, "32.0 GT/s PCIe", 16),
    ]
    assert [(nic.name, nic.kind, nic.pci.address, nic.rate, nic.up) for nic in found.nics] == [
        ("eth0", "ethernet", "0000:00:03.0", "", True)
    ]
    assert found.findings == (), "that the firmware names no NUMA node says nothing where there is one"


def test_a_sole_numa_node_has_the_memory_of_the_host_whatever_is_told_of_it(tmp_path: Path) -> None:
    (node,) = sysfs.survey(recorded.tree(tmp_path)).numa
    assert (node.number, sysfs.short(node.cores), node.memory, node.distances) == (0, "0-31", 263998500 << 10, (10,))


def test_the_matrix_has_the_sole_numa_node_where_the_firmware_names_none(tmp_path: Path) -> None:
    lines = matrix.text(sysfs.survey(recorded.tree(tmp_path))).splitlines()
    assert lines[1].split() == ["GPU0", "X", "PHB", "PHB", "0", "0-31", "0000:00:06.0"]
    two = machines.sockets(tmp_path / "two")
    two.nvidia(0, "pci0000:17/0000:17:01.0/0000:18:00.0", -1)
    assert matrix.text(sysfs.survey(two.root)).splitlines()[1].split() == ["GPU0", "X", "-1", "0000:18:00.0"]


def test_a_node_of_amd_gpus_tells_of_its_xgmi_links(tmp_path: Path) -> None:
    machines.mi300x(tmp_path)
    found = sysfs.survey(tmp_path)
    assert [(gpu.model, gpu.pci.address) for gpu in found.gpus] == [
        ("AMD Instinct MI300X", f"0000:{bus}:00.0") for bus in ("06", "27", "86", "a7")
    ]
    assert {link.kind for link in found.links} == {"XGMI"}
    assert len(found.links) == 6


def test_the_partitions_of_an_amd_gpu_are_at_its_place_on_the_bus(tmp_path: Path) -> None:
    """As ROCm/k8s-device-plugin recorded them of an MI300X in CPX (testdata/topo-mi300-cpx): the function counts."""
    machine = machines.sockets(tmp_path)
    where = machine.pci("pci0000:00/0000:00:01.1/0000:05:00.0", 1)
    for node, location in ((2, 1280), (3, 1281), (4, 1287)):
        folder = f"sys/class/kfd/kfd/topology/nodes/{node}"
        machine.write(f"{folder}/properties", f"simd_count 152\ndevice_id 29857\nlocation_id {location}\ndomain 0")
        for n, to in enumerate({2, 3, 4} - {node}):
            machine.write(f"{folder}/io_links/{n}/properties", f"type 11\nnode_from {node}\nnode_to {to}")
    found = sysfs.survey(tmp_path)
    assert [(gpu.pci.address, gpu.pci.numa) for gpu in found.gpus] == [(where.rpartition("/")[2], 1)] * 3
    assert [link.kind for link in found.links] == ["XGMI"] * 3
    assert found.findings == ()


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    machine = machines.sockets(tmp_path)
    machine.nvidia(0, "pci0000:17/0000:17:01.0/0000:18:00.0", -1, width=8)
    machine.write("proc/driver/nvidia/gpus/0000:77:00.0/information", "Model: NVIDIA H200\nDevice Minor: 1")
    machine.write("dev/nvidia1", "")
    found = sysfs.survey(tmp_path).findings
    assert [(finding.name, finding.seen) for finding in found] == [
        ("GPU0 (0000:18:00.0)", "the firmware does not say which NUMA node it is at"),
        ("GPU0 (0000:18:00.0)", "8 PCIe lanes"),
        ("GPU1 (0000:77:00.0)", "not on the PCI bus that this node shows"),
    ]
    assert all(finding.expected and finding.mend for finding in found)


def test_adapters_that_are_down_virtual_or_of_virtio(tmp_path: Path) -> None:
    machine = machines.Machine(tmp_path)
    machine.infiniband("mlx5_10", "pci0000:00/0000:00:02.0", 0, up=False)
    machine.infiniband("mlx5_2", "pci0000:00/0000:00:03.0", 0, layer="Ethernet")
    machine.write("sys/class/infiniband/mlx5_2/device/net/eth2/address", "")
    machine.link("sys/class/net/eth2/device", "sys/devices/pci0000:00/0000:00:03.0")
    machine.infiniband("mlx5_20", "pci0000:00/0000:00:03.1", 0)
    machine.link("sys/devices/pci0000:00/0000:00:03.1/physfn", "sys/devices/pci0000:00/0000:00:03.0")
    machine.pci("pci0000:00/0000:00:04.0", -1)
    machine.write("sys/devices/pci0000:00/0000:00:04.0/virtio1/status", "")
    machine.link("sys/class/net/eth0/device", "sys/devices/pci0000:00/0000:00:04.0/virtio1")
    machine.write("sys/class/net/eth0/operstate", "down")
    machine.write("sys/class/net/eth0/speed", "-1")
    assert [(nic.name, nic.kind, nic.pci.address, nic.up, nic.rate) for nic in sysfs.nics(tmp_path)] == [
        ("mlx5_2", "roce", "0000:00:03.0", True, "400 Gb/sec (4X NDR)"),
        ("mlx5_10", "infiniband", "0000:00:02.0", False, "400 Gb/sec (4X NDR)"),
        ("eth0", "ethernet", "0000:00:04.0", False, ""),
    ]


def test_an_empty_tree_is_a_node_without_anything(tmp_path: Path) -> None:
    found = sysfs.survey(tmp_path)
    assert (found.gpus, found.nics, found.links) == ((), (), ())
    assert [node.cores for node in found.numa] == [()]
    assert matrix.text(found) == "NUMA  cores  memory\n0            0 GiB"


def test_this_very_node_can_be_read() -> None:
    found = sysfs.survey()
    assert sum(len(node.cores) for node in found.numa) > 0
    assert found.cpu


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a/b/c/d/x", "a/b/c/e/y", "PIX"),
        ("a/b/x", "a/b/y", "PIX"),
        ("a/b/c/d/x", "a/b/f/g/y", "PXB"),
        ("a/b/x", "a/c/y", "PHB"),
        ("a/b/x", "q/c/y", "NODE"),
    ],
)
def test_the_distance_is_told_by_the_bridges_on_the_way(one: str, other: str, expected: str) -> None:
    ends = [Pci(path[-1], tuple(path.split("/")), 0) for path in (one, other)]
    assert distance(*ends, 2) == expected


def test_devices_of_no_known_or_of_other_numa_nodes_are_far_apart() -> None:
    assert distance(Pci("x", ("a", "x"), 0), Pci("y", ("b", "y"), 1), 2) == "SYS"
    assert distance(Pci("x", ("a", "x"), None), Pci("y", ("b", "y"), None), 2) == "SYS"
    assert distance(Pci("x", ("a", "x"), None), Pci("y", ("b", "y"), None), 1) == "NODE"


def test_lists_of_cores_are_read_and_written() -> None:
    assert sysfs.listed("0-3,8,10-11\n") == (0, 1, 2, 3, 8, 10, 11)
    assert sysfs.listed("") == sysfs.listed("(null)") == ()
    assert sysfs.short((8, 0, 1, 2, 3, 11, 10)) == "0-3,8,10-11"


def test_the_matrix_reads_as_that_of_nvidia_smi(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    lines = matrix.text(sysfs.survey(tmp_path)).splitlines()
    assert lines[0].split() == ["GPU0", "GPU1", "GPU2", "GPU3", *(f"mlx5_{n}" for n in range(4)), "eth0",
                                "NUMA", "cores", "PCI"]  # fmt: skip
    assert lines[2].split() == ["GPU1", "NODE", "X", "SYS", "SYS", "NODE", "PIX", "SYS", "SYS", "NODE",
                                "0", "0-15,32-47", "0000:3a:00.0"]  # fmt: skip


def test_visible_devices_have_the_addresses_of_their_gpus(tmp_path: Path) -> None:
    machines.h200(tmp_path / "nvidia")
    environ = {devices.CUDA: "2,GPU-00000001"}
    found = devices.detect("auto", environ, tmp_path / "nvidia")
    assert devices.addresses(found, environ, tmp_path / "nvidia") == ("0000:9a:00.0", "0000:3a:00.0")
    environ = {devices.CUDA: "MIG-0,0"}
    found = devices.detect("auto", environ, tmp_path / "nvidia")
    assert devices.addresses(found, environ, tmp_path / "nvidia") == ("", "0000:1a:00.0")
    machines.mi300x(tmp_path / "amd")
    environ = {devices.ROCR: "3,1,0", devices.HIP: "1,0"}
    found = devices.detect("auto", environ, tmp_path / "amd")
    assert devices.addresses(found, environ, tmp_path / "amd") == ("0000:27:00.0", "0000:a7:00.0")
