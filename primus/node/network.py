"""Addresses of hosts, and the network interface that has one."""

import array
import fcntl
import ipaddress
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Dict, Tuple

_SIOCGIFCONF = 0x8912  # linux/sockios.h
_SIOCGIFMTU = 0x8921
_IFREQ = 40  # bytes of struct ifreq on 64-bit Linux: 16 of name, 24 of address
_MOST = 256  # addresses of one host


def addresses(host: str) -> Tuple[str, ...]:
    """The numeric addresses of a host, IPv4 first. Raises OSError when the name is not known."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in ordered))


def is_loopback(address: str) -> bool:
    """Whether an address reaches this host alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def plain(address: str) -> str:
    """An IPv4 address as such where a socket of both families has it as IPv6 (`::ffff:10.0.0.1`)."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def interface(address: str) -> str:
    """The name of the interface of this host that has the address; empty when it cannot be told."""
    with suppress(OSError, ValueError):
        return {**_ipv6(), **_ipv4()}.get(address.partition("%")[0], "")
    return ""


def mtu(interface: str) -> int:
    """The longest packet that an interface sends, in bytes; 0 when it cannot be told.

    By the kernel's own answer: a container's /sys may be that of another network namespace.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFMTU, struct.pack("16si20x", interface.encode(), 0))
        return int(struct.unpack("16si20x", answer)[1])
    return 0


def _ipv4() -> Dict[str, str]:
    buffer = array.array("B", bytes(_IFREQ * _MOST))
    start, length = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, struct.pack("iL", length, start))
    used = struct.unpack("iL", answer)[0]
    found: Dict[str, str] = {}
    for at in range(0, used, _IFREQ):
        entry = buffer[at : at + _IFREQ].tobytes()
        label = entry[:16].split(b"\0")[0].decode()
        found.setdefault(socket.inet_ntoa(entry[20:24]), label.partition(":")[0])  # eth0:1 is a label of eth0
    return found


def _ipv6() -> Dict[str, str]:
    found: Dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            fields = line.split()
            found[str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))] = fields[-1]
    return found
