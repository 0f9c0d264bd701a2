"""What the user says of the network between a job's nodes, by the names that NCCL and Gloo have for it. Pure."""

import re

from primus.launch.config.origin import Origins
from primus.launch.config.reading import complaint
from primus.launch.config.request import Network
from primus.node.plan import Variable
from primus.node.typed import DataError, Problem

# As the kernel names them (dev_valid_name of net/core/dev.c), less what NCCL's lists have a meaning for: `=`, `^`, `,`.
_INTERFACE = r"[^\s/:=^,]{1,15}"
_DEVICE = r"[^\s/:=^,]+(:\d+)?"


def variables(network: Network, source: Origins) -> tuple[Variable, ...]:
    """Those of the keys that are given. Raises BadRequest for what is no name of an interface or device."""
    problems = _problems(network)
    if problems:
        raise complaint(DataError(problems), source)
    values = (
        ("interface", "NCCL_SOCKET_IFNAME", f"={network.interface}"),  # `=`: not what begins so, here as below
        ("interface", "GLOO_SOCKET_IFNAME", network.interface),
        ("hca", "NCCL_IB_HCA", "=" + ",".join(network.hca or ())),
        ("gid_index", "NCCL_IB_GID_INDEX", network.gid_index),
        ("traffic_class", "NCCL_IB_TC", network.traffic_class),
    )
    return tuple(
        Variable(name, str(value), f"network.{key}") for key, name, value in values if getattr(network, key) is not None
    )


def _problems(network: Network) -> list[Problem]:
    found = []
    if network.interface is not None and not re.fullmatch(_INTERFACE, network.interface):
        found.append(Problem("network.interface", f"{network.interface!r} is not the whole name of one, such as eth0"))
    if network.hca == ():
        without = "null leaves it to the nodes, env.set.NCCL_IB_DISABLE=1 does without RDMA"
        found.append(Problem("network.hca", f"an empty list names no device: {without}"))
    for index, device in enumerate(network.hca or ()):
        if not re.fullmatch(_DEVICE, device):
            right = "the whole name of a device or of a port of one, such as mlx5_0 or mlx5_1:1"
            found.append(Problem(f"network.hca[{index}]", f"{device!r} is not {right}"))
    return found
