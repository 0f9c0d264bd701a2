"""Values of all ranks at rank 0, over a plain TCP connection: for ranks without a framework. Standard library alone.

Python >= 3.9, as that of an image may be.
"""

from __future__ import annotations

import contextlib
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
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if world == 1:
        return [value]
    until = time.monotonic() + seconds
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    message = {"run": os.environ["PRIMUS_RUN_ID"], "rank": rank, "value": value}
    if rank == 0:
        return _receive(value, world, port, until)
    _send(json.dumps(message).encode(), address, port, until)
    return None


def agree(value: Any, decide: Callable[[list[Any]], Any], seconds: float = _PATIENCE) -> Any:
    """What `decide` makes, at rank 0, of the JSON values of all ranks in their order: the same at every rank.

    For ranks whose framework will listen at MASTER_PORT next: nobody is answered before rank 0 has left it. Raises
    Refused as `gather` does.
    """
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if world == 1:
        return decide([value])
    until = time.monotonic() + seconds
    port = int(os.environ["MASTER_PORT"])
    if rank:
        message = {"run": os.environ["PRIMUS_RUN_ID"], "rank": rank, "value": value}
        return json.loads(_ask(json.dumps(message).encode(), os.environ["MASTER_ADDR"], port, until))
    asking: dict[int, socket.socket] = {}
    try:
        values = _receive(value, world, port, until, asking)
        answer = decide(values)
        for connection in asking.values():
            with contextlib.suppress(OSError):  # one that is gone: its agent ends all
                connection.sendall(json.dumps(answer).encode())
    finally:
        for connection in asking.values():
            connection.close()
    return answer


def _receive(own: Any, world: int, port: int, until: float, kept: dict[int, socket.socket] | None = None) -> list[Any]:
    """The values of all. Each rank is told that its own has come; or its connection is `kept`, to be answered."""
    found: dict[int, Any] = {0: own}
    with closing(_listen(port)) as listening:
        while len(found) < world:
            listening.settimeout(max(0.01, until - time.monotonic()))
            try:
                connection, _ = listening.accept()
            except socket.timeout:  # noqa: UP041 - a name of its own before Python 3.10
                missing = ", ".join(str(rank) for rank in range(world) if rank not in found)
                raise Refused(f"rank 0 has heard nothing of rank {missing}", UNFIT) from None
            connection.settimeout(max(0.01, until - time.monotonic()))
            told = _message(connection)
            if not told or told.get("run") != os.environ["PRIMUS_RUN_ID"]:
                connection.close()
                continue
            found[int(told["rank"])] = told["value"]
            if kept is not None:
                kept[int(told["rank"])] = connection
                continue
            with connection:
                connection.sendall(b"ok")
    return [found[rank] for rank in range(world)]


def _message(connection: socket.socket) -> dict[str, Any] | None:
    """What a rank says; None of a stranger, or one that was cut off: it comes again."""
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
            if len(data) > _LARGEST:
                return None
        told = json.loads(data)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _send(data: bytes, address: str, port: int, until: float) -> None:
    _ask(data, address, port, until, answer=b"ok")


def _ask(data: bytes, address: str, port: int, until: float, answer: bytes | None = None) -> bytes:
    """What rank 0 answers: this, or anything. It is asked again until then, as long as it does not."""
    problem = "it does not answer"
    while time.monotonic() < until:
        try:
            with socket.create_connection((address, port), timeout=max(0.01, until - time.monotonic())) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                told = b"".join(iter(lambda: connection.recv(1 << 16), b""))
                if told == answer or (told and answer is None):
                    return told
        except OSError as error:
            problem = str(error)
        time.sleep(_PAUSE)
    raise Refused(f"rank 0 at {address}:{port} cannot be reached: {problem}", UNFIT)


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
