"""What a node's device files say that its containers need."""

import os
from pathlib import Path

import pytest

from primus.node.container.node import Node, survey

from ..test_devices import KFD_GPU, h200, write  # noqa: F401 -- h200 is a fixture


def test_a_node_without_devices_gives_nothing_but_its_user_and_its_limits(tmp_path: Path) -> None:
    found = survey("auto", tmp_path)
    assert found == Node(uid=os.getuid(), gid=os.getgid(), limits=found.limits, name=os.uname().nodename)
    assert [limit.split("=")[0] for limit in found.limits] == ["nofile", "nproc"]


def test_nvidias_devices_are_the_engines_affair(h200: Path) -> None:  # noqa: F811
    found = survey("auto", h200)
    assert (found.vendor, found.devices) == ("nvidia", ())
    assert survey("cpu", h200).vendor == "cpu"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other groups")
def test_amds_devices_come_with_the_groups_that_own_them(tmp_path: Path) -> None:
    gpu = KFD_GPU.format(device=0x74A1, minor=128, unique=1)
    write(tmp_path / "sys/class/kfd/kfd/topology/nodes/2/properties", gpu)
    for name, group in (("kfd", 109), ("dri/renderD128", 109), ("dri/card1", 44), ("dri/by-path/x", 7)):
        write(tmp_path / "dev" / name, "")
        os.chown(tmp_path / "dev" / name, 0, group)
    found = survey("auto", tmp_path)
    assert (found.vendor, found.devices, found.groups) == ("amd", ("/dev/kfd", "/dev/dri"), (44, 109))


def test_a_guard_of_files_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/selinux/enforce", "1")
    assert survey("cpu", tmp_path).selinux


def test_infiniband_is_given_where_it_is(tmp_path: Path) -> None:
    write(tmp_path / "dev/infiniband/uverbs0", "")
    found = survey("cpu", tmp_path)
    assert (found.infiniband, found.devices) == (True, ("/dev/infiniband",))
