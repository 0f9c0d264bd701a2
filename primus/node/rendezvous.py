"""Where the ranks of a job meet."""

import errno
import socket
import zlib
from typing import List, Optional, Tuple

from primus.node.plan import PlanError

# Below Linux's ephemeral range (net.ipv4.ip_local_port_range, 32768 up), so that no outgoing connection takes the port
# between now and the rank's own bind, and above what services usually have.
_FIRST, _LAST = 20000, 32000
_TRIES = 200

# Sockets that keep other agents of this host off a port until this process ends.
_held: List[socket.socket] = []


def meet(run_id: str, nodes: int, asked: Optional[str]) -> Tuple[str, int]:
    """The address and port of rank 0. `asked` is the port that the user set, if any.

    Raises PlanError when that port is taken or is no port, and for more than one node.
    """
    if nodes > 1:
        raise PlanError(
            f"the plan has {nodes} nodes, and nothing says where they meet: this Primus runs one node (runtime.nodes=1)"
        )
    address = "127.0.0.1"
    if asked is not None:
        return address, _asked(asked)
    start = zlib.crc32(run_id.encode()) % (_LAST - _FIRST)
    for step in range(_TRIES):
        port = _FIRST + (start + step * 7) % (_LAST - _FIRST)
        if _free(port) and _hold(port):
            return address, port
    raise PlanError(f"no free port for MASTER_PORT among {_TRIES} tried between {_FIRST} and {_LAST}")


def _asked(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise PlanError(f"MASTER_PORT={text} is no port: a number from 1 to 65535")
    if not _free(int(text)):
        raise PlanError(f"MASTER_PORT={text} is taken on this host: give another, or none and Primus finds a free one")
    return int(text)


def _free(port: int) -> bool:
    """Whether a rank can bind it, on every address as PyTorch's store does."""
    families = [(socket.AF_INET, "0.0.0.0")] + ([(socket.AF_INET6, "::")] if socket.has_ipv6 else [])
    for family, address in families:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection of before may linger
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # no IPv6 here
                continue
            return False
    return True


def _hold(port: int) -> bool:
    """Claim the port among agents of this host: an abstract socket (Linux) is released by the kernel at our end."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0primus-port-{port}")
    except OSError:
        claim.close()
        return False
    _held.append(claim)
    return True
