"""The ranks of a job together, over plain TCP connections to rank 0: for ranks without a framework of their own.

Standard library alone, Python >= 3.9, as that of an image may be.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from primus.rank.problems import UNFIT, Refused

_PATIENCE = 120.0  # seconds for all ranks to begin and to have their value
_PAUSE = 0.05  # seconds between two attempts to reach rank 0
_LARGEST = 64 << 20  # bytes of one value


def gather(value: Any, seconds: float = _PATIENCE) -> list[Any] | None:
    """The JSON values of all ranks in their order, at rank 0; None at the others, once it has theirs.

    Raises Refused where not all have met in time; rank 0 names those who are missing.
    """
    with Meeting(value, seconds) as met:
        return met.values


def agree(value: Any, decide: Callable[[list[Any]], Any], seconds: float = _PATIENCE) -> Any:
    """What `decide` makes, at rank 0, of the JSON values of all ranks in their order: the same at every rank.

    For ranks whose framework will listen at MASTER_PORT next: nobody is answered before rank 0 has left it. Raises
    Refused as `gather` does.
    """
    with Meeting(None, seconds) as met:
        return met.exchange(value, decide)


class Meeting:
    """This rank among the others. As a context it leaves them at its end.

    `values` are those that the ranks came with, in the order of the ranks; None but at rank 0.
    """

    def __init__(self, value: Any = None, seconds: float = _PATIENCE) -> None:
        """Raises Refused where not all have met in so many seconds; rank 0 names those who are missing."""
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.values: list[Any] | None = [value] if self.world == 1 else None
        self._lines: dict[int, _Line] = {}
        if self.world == 1:
            return
        until = time.monotonic() + seconds
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        if self.rank == 0:
            self.values = self._receive(value, port, until)
        else:
            message = {"run": os.environ["PRIMUS_RUN_ID"], "rank": self.rank, "value": value}
            self._lines[0] = _connect(message, address, port, until)

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines.values():
            line.close()

    def exchange(self, value: Any, answer: Callable[[list[Any]], Any]) -> Any:
        """What rank 0 makes of the values of all, at every rank: no rank goes on before all have come here.

        Without a limit of time: what a rank does between two exchanges takes as long as it takes. Raises Refused where
        a rank has ended.
        """
        if self.rank > 0:
            self._lines[0].tell(value)
            return self._lines[0].hear("rank 0")
        found = [value, *(self._lines[rank].hear(f"rank {rank}") for rank in range(1, self.world))]
        made = answer(found)
        for line in self._lines.values():
            line.tell(made)
        return made

    def _receive(self, own: Any, port: int, until: float) -> list[Any]:
        found: dict[int, Any] = {0: own}
        with closing(_listen(port)) as listening:
            while len(found) < self.world:
                listening.settimeout(max(0.01, until - time.monotonic()))
                try:
                    connection, _ = listening.accept()
                except socket.timeout:  # noqa: UP041 - a name of its own before Python 3.10
                    self.__exit__()
                    missing = ", ".join(str(rank) for rank in range(self.world) if rank not in found)
                    raise Refused(f"rank 0 has heard nothing of rank {missing}", UNFIT) from None
                line = _Line(connection)
                told = line.first(until)
                if told and told.get("run") == os.environ["PRIMUS_RUN_ID"] and line.greet():
                    rank = int(told["rank"])
                    found[rank], self._lines[rank] = told["value"], line
                else:
                    line.close()
        return [found[rank] for rank in range(self.world)]


class _Line:
    """One connection: a JSON value a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def first(self, until: float) -> dict[str, Any] | None:
        """What a rank comes with; None of a stranger, or one that was cut off: it comes again."""
        self._socket.settimeout(max(0.01, until - time.monotonic()))
        try:
            told = json.loads(self._file.readline(_LARGEST))
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def greet(self) -> bool:
        """Tell a rank that it is heard; False for one that has gone: it comes again."""
        try:
            self._socket.sendall(b"ok\n")
        except OSError:
            return False
        self._socket.settimeout(None)
        return True

    def introduce(self, message: dict[str, Any]) -> bool:
        """Say who this rank is; False where that was not heard. Raises OSError."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        heard = self._file.readline(3) == b"ok\n"
        self._socket.settimeout(None)
        return heard

    def tell(self, value: Any) -> None:
        """Send; what became of one that has ended, `hear` says."""
        try:
            self._socket.sendall(json.dumps(value).encode() + b"\n")
        except OSError:
            return

    def hear(self, who: str) -> Any:
        """The next value. Raises Refused where the other end has gone."""
        try:
            line = self._file.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise Refused(f"{who} has ended", UNFIT)
        return json.loads(line)


def _connect(message: dict[str, Any], address: str, port: int, until: float) -> _Line:
    problem = "it does not answer"
    while time.monotonic() < until:
        try:
            line = _Line(socket.create_connection((address, port), timeout=max(0.01, until - time.monotonic())))
            try:
                if line.introduce(message):
                    return line
            except OSError:
                line.close()
                raise
            line.close()
        except OSError as error:
            problem = str(error)
        time.sleep(_PAUSE)
    raise Refused(f"rank 0 at {address}:{port} cannot be reached: {problem}", UNFIT)


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
