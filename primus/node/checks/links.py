"""Between each two nodes: whether one reaches the other over TCP, and how fast."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Dict, List, Optional, Sequence, Tuple

from primus.node.channel import listen, reason
from primus.node.checks.finding import FAIL, WARN, Finding

_CONNECT = 3.0  # seconds
_TRANSFER = 10.0
_PIECE = 1 << 20
_AT_ONCE = 32
_SLOW = 0.5  # of the median of all


@dataclass(frozen=True)
class Link:
    """From a node to another. `ms` to connect (None: `why` not), Gbit/s there and back (None: not measured)."""

    source: int
    target: int
    ms: Optional[float]
    why: str = ""
    there: Optional[float] = None
    back: Optional[float] = None


class Server:
    """Answers the other nodes, in threads of its own, until it is closed. Raises OSError where it cannot listen."""

    def __init__(self, run_id: str) -> None:
        listener = listen(0)
        if listener is None:
            raise OSError("no port is free")
        self._run_id, self._listener = run_id, listener
        self.port: int = listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """No more answers."""
        with suppress(OSError):  # the thread that waits for connections is woken by this alone
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError, KeyError), connection:
            connection.settimeout(_TRANSFER)
            asked = json.loads(_line(connection))
            if asked["run"] == self._run_id:
                _take(connection, asked["bytes"])
                connection.sendall(b"\n")
                _give(connection, asked["bytes"])


def reached(run_id: str, source: int, peers: Sequence[Tuple[str, int]], targets: Sequence[int]) -> List[Link]:
    """Connections from node `source` to the `targets`, all at once."""
    if not targets:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(targets))) as pool:
        return list(pool.map(lambda target: measure(run_id, source, target, peers[target], 0), targets))


def measure(run_id: str, source: int, target: int, peer: Tuple[str, int], size: int) -> Link:
    """Connect to a peer, send `size` bytes and get as many back."""
    try:
        began = time.monotonic()
        with socket.create_connection((peer[0], peer[1]), timeout=_CONNECT) as connection:
            ms = (time.monotonic() - began) * 1000
            connection.settimeout(_TRANSFER)
            connection.sendall(json.dumps({"run": run_id, "bytes": size}).encode() + b"\n")
            sending = time.monotonic()
            _give(connection, size)
            if connection.recv(1) != b"\n":
                raise ConnectionError("connection closed")
            sent = time.monotonic()
            _take(connection, size)
            got = time.monotonic()
    except OSError as error:
        why = reason(error.errno) if error.errno else str(error)
        return Link(source, target, None, f"{why} ({peer[0]})")
    gigabits = 8e-9 * size
    return Link(source, target, ms, "", *((gigabits / (sent - sending), gigabits / (got - sent)) if size else ()))


def rounds(nodes: int) -> List[List[Tuple[int, int]]]:
    """Every pair once, and no node in two pairs of a round: the circle method of round-robin tournaments."""
    ring = list(range(nodes + nodes % 2))
    found = []
    for _ in range(len(ring) - 1):
        pairs = [(ring[i], ring[-1 - i]) for i in range(len(ring) // 2)]
        found.append([(min(pair), max(pair)) for pair in pairs if max(pair) < nodes])
        ring = [ring[0], ring[-1], *ring[1:-1]]
    return found


def judge(links: Sequence[Link], names: Sequence[str]) -> List[Tuple[int, Finding]]:
    """Findings by node: what cannot be reached, and which node is slower than the others."""
    found = []
    for link in links:
        if link.ms is None:
            seen = f"{names[link.source]} does not reach {names[link.target]}: {link.why}"
            mend = "look for a firewall, a route or an interface that is down on either of them"
            found.append((link.target, Finding("network", "reachability", FAIL, seen, "every node reaches all", mend)))
    speeds: Dict[int, List[float]] = {}
    for link in links:
        if link.there is not None and link.back is not None:
            for node in (link.source, link.target):
                speeds.setdefault(node, []).append(min(link.there, link.back))
    usual = median([speed for every in speeds.values() for speed in every] or [0.0])
    for node, every in sorted(speeds.items()) if len(speeds) > 2 else ():
        if median(every) < _SLOW * usual:
            seen = f"{median(every):.1f} Gbit/s to the others, median"
            mend = "check its cable, switch port and MTU, and what else uses its network"
            found.append((node, Finding("network", "bandwidth", WARN, seen, f"{usual:.1f} as between all", mend)))
    return found


def _line(connection: socket.socket) -> bytes:
    text = b""
    while not text.endswith(b"\n") and len(text) < 4096:
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("connection closed")
        text += byte
    return text


def _give(connection: socket.socket, size: int) -> None:
    piece = memoryview(bytes(_PIECE))
    while size > 0:
        connection.sendall(piece[: min(size, _PIECE)])
        size -= _PIECE


def _take(connection: socket.socket, size: int) -> None:
    buffer = bytearray(_PIECE)
    while size > 0:
        count = connection.recv_into(buffer, min(size, _PIECE))
        if not count:
            raise ConnectionError("connection closed")
        size -= count
