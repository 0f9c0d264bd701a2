"""What the user says of the network, as variables of NCCL and Gloo; what is no name of anything is refused."""

from typing import Any

import pytest

from primus.launch import network
from primus.launch.config.origin import Origins
from primus.launch.config.request import Network
from primus.launch.problems import BadRequest
from primus.node.typed import DataError, read

NOTHING = {"detect": True, "interface": None, "hca": None, "gid_index": None, "traffic_class": None}


def said(**given: Any) -> dict[str, str | None]:
    asked = read(Network, {**NOTHING, **given}, "network")
    return {variable.name: variable.value for variable in network.variables(asked, Origins((), (), {}))}


def test_what_is_not_said_is_left_to_the_nodes() -> None:
    assert said() == {}


def test_names_are_whole_ones() -> None:
    assert said(interface="ib0.8001", hca=["mlx5_0", "mlx5_1:1"], gid_index=3, traffic_class=106) == {
        "NCCL_SOCKET_IFNAME": "=ib0.8001",
        "GLOO_SOCKET_IFNAME": "ib0.8001",
        "NCCL_IB_HCA": "=mlx5_0,mlx5_1:1",
        "NCCL_IB_GID_INDEX": "3",
        "NCCL_IB_TC": "106",
    }


@pytest.mark.parametrize("name", ["", "a b", "eth0,eth1", "=eth0", "^docker", "eth0:1", "../eth0", "sixteenletters16"])
def test_what_is_no_interface_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=r"^network\.interface: .* is not the whole name of one, such as eth0$"):
        said(interface=name)


@pytest.mark.parametrize("name", ["", "^mlx5_0", "=mlx5_0", "mlx5_0:x", "mlx5_0:", "mlx5_0,mlx5_1", "a b"])
def test_what_is_no_device_or_port_is_refused_by_its_place(name: str) -> None:
    with pytest.raises(BadRequest, match=r"^network\.hca\[1\]: .* such as mlx5_0 or mlx5_1:1$"):
        said(hca=["mlx5_0", name])


def test_no_device_at_all_is_said_otherwise() -> None:
    with pytest.raises(BadRequest, match=r"^network\.hca: an empty list names no device: .*NCCL_IB_DISABLE=1"):
        said(hca=[])


def test_a_gid_index_is_of_a_table_of_256() -> None:
    with pytest.raises(DataError, match=r"network\.gid_index: 999 is more than 255"):
        said(gid_index=999)
