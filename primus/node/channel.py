"""One connection of the control channel: JSON objects, one a line, and the end of it told apart from silence.

The heartbeat is the kernel's: TCP keep-alive, so that a host which is down or cut off is noticed after `lost_after`
seconds, while an agent that a stalled file system holds up is not taken for lost. An agent that dies, however that
comes about, ends its connection at once.
"""

import json
import os
import socket
from contextlib import suppress
from typing import Any, Callable, Dict, Optional

from primus.node.loop import Loop
from primus.node.network import plain

Message = Dict[str, Any]

_LONGEST = 64 << 10  # bytes of one message; what is longer does not come from an agent
_PROBES = 3  # in `lost_after` seconds


class Link:
    """One end. `on_end(why)` is called once, unless this end closes it."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        lost_after: float,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        self.on_message, self.on_end = on_message, on_end
        self._loop = loop
        self._socket: Optional[socket.socket] = connection
        self._rest = b""
        self.address = plain(connection.getsockname()[0])
        self.peer = plain(connection.getpeername()[0])
        connection.setblocking(False)
        _keep_alive(connection, lost_after)
        loop.on_readable(connection.fileno(), self._read)

    def send(self, message: Message) -> None:
        """Send a message. What goes wrong is told by the reading side, as the end of the connection."""
        if self._socket is not None:
            with suppress(OSError):  # the few hundred bytes of a job's messages always fit into the kernel's buffer
                self._socket.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """End it; what was sent still arrives."""
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(reason(error.errno))
            return
        if not data:
            self._end("connection closed")
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._socket is not None:  # else a message before this one ended it
                self._take(line)
        if len(self._rest) > _LONGEST:
            self._end("what it says is not of Primus")

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if isinstance(message, dict):
            self.on_message(message)
        else:
            self._end("what it says is not of Primus")

    def _end(self, why: str) -> None:
        if self._socket is not None:
            self.close()
            self.on_end(why)


def listen(port: int) -> Optional[socket.socket]:
    """A listening socket on every address of this host, IPv6 included; None when the port is taken."""
    try:
        if socket.has_dualstack_ipv6():
            with suppress(OSError):  # IPv6 may be compiled in and switched off
                return socket.create_server(("", port), family=socket.AF_INET6, backlog=4096, dualstack_ipv6=True)
        return socket.create_server(("", port), backlog=4096)
    except OSError:
        return None


def reason(code: Optional[int]) -> str:
    """The kernel's words for an error number, as part of a sentence."""
    words = os.strerror(code) if code else "unknown error"
    return words[0].lower() + words[1:]


def _keep_alive(connection: socket.socket, lost_after: float) -> None:
    """Probe a silent peer, and give it up after `lost_after` seconds; an answer to anything sent counts as well."""
    every = max(1, int(lost_after / _PROBES))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = {"TCP_KEEPIDLE": every, "TCP_KEEPINTVL": every, "TCP_KEEPCNT": _PROBES}
    for name, value in {**options, "TCP_USER_TIMEOUT": int(lost_after * 1000)}.items():
        if hasattr(socket, name):  # Linux
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
