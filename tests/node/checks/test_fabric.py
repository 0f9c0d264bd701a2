"""Ports and interfaces, and what NCCL is told of them. The trees are as Documentation/ABI/stable of the kernel says."""

from pathlib import Path

import pytest

from primus.node.checks import fabric
from primus.node.checks.fabric import check
from primus.node.checks.finding import Finding, Notes

from .trees import port, write

VERBS = {"dev/infiniband/uverbs0": ""}


def found(root: Path, environ: dict[str, str] | None = None, nodes: int = 2, gpus: bool = True) -> dict[str, Finding]:
    """The findings that are no mere information, by name."""
    notes = check(nodes, gpus, "127.0.0.1", environ or {}, root)
    return {finding.name: finding for finding in notes.findings if finding.level != "info"}


def test_a_sound_fabric_has_nothing_to_mend(tmp_path: Path) -> None:
    assert found(write(tmp_path, port("mlx5_0") | port("mlx5_1") | VERBS)) == {}


def test_a_port_that_is_down_or_slow_is_named(tmp_path: Path) -> None:
    slow = port("mlx5_2", rate="200 Gb/sec (4X HDR)")
    bad = found(write(tmp_path, port("mlx5_0") | port("mlx5_1", "2: INIT") | slow | VERBS))
    assert bad["port mlx5_1:1"].seen.startswith("init")
    assert bad["port mlx5_2:1"].expected.startswith("400 Gb/s")


def test_an_adapter_that_does_not_exist_fails_since_nccl_would_be_silent(tmp_path: Path) -> None:
    bad = found(write(tmp_path, port("mlx5_0") | VERBS), {"NCCL_IB_HCA": "mlx5_0,bnxt_re0"})["NCCL_IB_HCA"]
    assert bad.level == "fail"
    assert bad.seen.startswith("bnxt_re0 does not exist; NCCL falls back to TCP")
    assert bad.expected == "among mlx5_0:1"


def test_gpus_without_an_active_port_are_warned_of_tcp(tmp_path: Path) -> None:
    assert found(tmp_path)["rdma"].level == "warn"
    assert found(tmp_path, nodes=1) == {}
    assert found(tmp_path, gpus=False) == {}


def test_adapters_that_the_container_was_not_given_fail(tmp_path: Path) -> None:
    assert found(write(tmp_path, port("mlx5_0")))["rdma devices"].level == "fail"


def test_a_gid_index_that_a_port_does_not_have_fails(tmp_path: Path) -> None:
    at = "sys/class/infiniband/mlx5_0/ports/1/gids"
    none = "0000:0000:0000:0000:0000:0000:0000:0000\n"
    write(tmp_path, port("mlx5_0", layer="Ethernet") | VERBS | {f"{at}/3": none, f"{at}/1": "fe80::1\n"})
    assert found(tmp_path, {"NCCL_IB_GID_INDEX": "3"})["NCCL_IB_GID_INDEX"].level == "fail"
    assert found(tmp_path, {"NCCL_IB_GID_INDEX": "1"}) == {}


@pytest.mark.parametrize(
    ("asked", "level"), [("eth0", "info"), ("=eth", "fail"), ("ib", "warn"), ("^lo", "info"), ("^eth", "warn")]
)
def test_the_interface_is_checked_against_the_route(asked: str, level: str) -> None:
    notes = Notes("network")
    fabric._interfaces("eth0", {"NCCL_SOCKET_IFNAME": asked}, ["lo", "eth0", "ib0"], notes)
    assert {finding.name: finding.level for finding in notes.findings}["NCCL_SOCKET_IFNAME"] == level
