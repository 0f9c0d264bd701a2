"""The nodes of a preflight talk: all to node 0, a JSON object a line. Blocking, with a time limit on everything.

Not the agents' control channel: a check that hangs is killed, and must take nothing with it that the job needs.
"""

import json
import socket
import time
from contextlib import suppress
from typing import Any, Dict, List, Optional, Tuple

from primus.node.channel import listen
from primus.node.network import plain
from primus.node.rendezvous import candidates

Message = Dict[str, Any]
_TRY = 2.0  # seconds for one try to connect
_PAUSE = 0.1


class Line:
    """One connection. `wait` raises OSError or ValueError for one that has ended, is silent, or says nonsense."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._socket, self._until = connection, until
        self._file = connection.makefile("rb")
        self.ours, self.theirs = (plain(a[0]) for a in (connection.getsockname(), connection.getpeername()))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def tell(self, message: Message) -> None:
        """Send; raises OSError."""
        self._socket.settimeout(max(0.1, self._until - time.monotonic()))
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def wait(self, seconds: Optional[float] = None) -> Message:
        """The next message, in so many seconds or before the end of all."""
        left = max(0.1, self._until - time.monotonic())
        self._socket.settimeout(left if seconds is None else min(seconds, left))
        message = json.loads(self._file.readline())
        if not isinstance(message, dict):
            raise ValueError("not an object")
        return message

    def close(self) -> None:
        """End it; what was sent still arrives."""
        with suppress(OSError):
            self._file.close()
            self._socket.close()


def gather(run_id: str, others: int, within: float, until: float) -> Tuple[Dict[int, Line], Dict[int, Message]]:
    """At node 0: those that come within so many seconds, and what each said first. Raises OSError: no port is free."""
    lines: Dict[int, Line] = {}
    said: Dict[int, Message] = {}
    listener = next(filter(None, map(listen, candidates(f"checks {run_id}"))), None)
    if listener is None:
        raise OSError("no port for the other nodes is free")
    with listener:
        give_up = time.monotonic() + within
        while len(lines) < others and time.monotonic() < give_up:
            listener.settimeout(max(0.01, give_up - time.monotonic()))
            with suppress(OSError, ValueError):
                line = Line(listener.accept()[0], until)
                hello = line.wait(_TRY)
                if hello.get("run") == run_id and isinstance(hello.get("node"), int):
                    lines[hello["node"]], said[hello["node"]] = line, hello
    return lines, said


def reach(run_id: str, master: str, hello: Message, within: float, until: float) -> Line:
    """At any other node: the connection to node 0. Raises OSError where it cannot be had in so many seconds."""
    give_up = time.monotonic() + within
    why: OSError = TimeoutError("timed out")
    while time.monotonic() < give_up:
        for port in candidates(f"checks {run_id}"):
            try:
                line = Line(socket.create_connection((master, port), timeout=_TRY), until)
                line.tell({"run": run_id, **hello})
                return line
            except OSError as error:
                why = error
        time.sleep(_PAUSE)
    raise why


def offset(line: Line, times: int = 5) -> Tuple[float, float]:
    """By how much the clock of the other end is ahead of this one, and by how much that may be wrong, in seconds.

    Of several questions the one that was answered soonest counts, as in NTP (RFC 5905). Raises as `Line.wait`.
    """
    best: List[Tuple[float, float]] = []
    for _ in range(times):
        asked = time.time()
        line.tell({"clock": True})
        theirs, answered = float(line.wait()["time"]), time.time()
        best.append(((answered - asked) / 2, theirs - (asked + answered) / 2))
    error, ahead = min(best)
    return ahead, error
