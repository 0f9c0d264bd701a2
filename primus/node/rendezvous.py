"""Where the ranks of a job meet."""

import errno
import socket
import zlib
from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

from primus.node.digits import whole
from primus.node.plan import PlanError

# Below Linux's ephemeral range (net.ipv4.ip_local_port_range, 32768 up), so that no outgoing connection takes the port
# between now and the rank's own bind, and above what services usually have.
_FIRST, _LAST = 20000, 32000
_TRIES = 200
# Of the control channel: as many jobs may share the first node and derive the same port.
_CANDIDATES = 4

# Sockets that keep other agents of this host off a port until this process ends.
_held: List[socket.socket] = []


@dataclass(frozen=True)
class Meeting:
    """Address and port of rank 0, and the interface of this node that leads there (empty: one node, or not known).

    `warning`: what node 0 finds odd about the nodes together.
    """

    address: str
    port: int
    interface: str = ""
    warning: Optional[str] = None


Meet = Callable[[int, Optional[str], str], Meeting]
"""How a node learns where all ranks meet, from its number of ranks, the port that the plan asks for, and its GPUs."""


def alone(run_id: str, asked: Optional[str]) -> Meeting:
    """Where the ranks of a single node meet; raises PlanError as `free_port` does."""
    return Meeting("127.0.0.1", free_port(run_id, asked))


def free_port(key: str, asked: Optional[str]) -> int:
    """A port for MASTER_PORT that is free on this host, near one that follows from `key`; `asked`: set by the user.

    Raises PlanError when the port that was asked for is taken or is no port.
    """
    if asked is not None:
        return _asked(asked)
    for port in _ports(key, _TRIES):
        if _free(port) and _hold(port):
            return port
    raise PlanError(f"no free port for MASTER_PORT among {_TRIES} tried between {_FIRST} and {_LAST}")


def candidates(key: str) -> Tuple[int, ...]:
    """The ports on which node 0 of a job may await the others, in the order in which it and they try them."""
    return _ports(f"channel {key}", _CANDIDATES)


def _ports(key: str, count: int) -> Tuple[int, ...]:
    start = zlib.crc32(key.encode()) % (_LAST - _FIRST)
    return tuple(_FIRST + (start + step * 7) % (_LAST - _FIRST) for step in range(count))


def _asked(text: str) -> int:
    if not whole(text) or not 0 < int(text) < 65536:
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
