"""Values of all ranks at rank 0, without a framework."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from primus.rank import gathering
from primus.rank.problems import Refused

from ..conftest import PATIENCE, port

Environ = Callable[..., None]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Environ:
    """Be one rank of several, which meet at a free port."""
    meeting = port()

    def be(rank: int, world: int) -> None:
        given = {"RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": meeting,
                 "PRIMUS_RUN_ID": "a-run"}  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(name, str(value))

    be(0, 1)
    return be


def test_one_rank_has_its_own(environ: Environ) -> None:
    assert gathering.gather({"a": 1}) == [{"a": 1}]


def test_rank_0_has_the_values_of_all_in_their_order_whatever_else_knocks(environ: Environ) -> None:
    environ(0, 3)
    found: list[object] = []
    first = threading.Thread(target=lambda: found.append(gathering.gather("zero")))
    first.start()
    _knock(b"GET / HTTP/1.0\r\n\r\n")
    _knock(b'{"run": "another", "rank": 1, "value": "wrong"}')
    for rank in (2, 1):
        environ(rank, 3)
        assert gathering.gather([rank]) is None
    environ(0, 3)
    first.join(timeout=PATIENCE)
    assert found == [["zero", [1], [2]]]


def test_ranks_that_do_not_come_are_named(environ: Environ) -> None:
    environ(0, 3)
    with pytest.raises(Refused, match="rank 0 has heard nothing of rank 1, 2"):
        gathering.gather("zero", seconds=0.2)


def test_a_rank_0_that_is_not_there_is_named_by_its_address(environ: Environ) -> None:
    environ(1, 2)
    with pytest.raises(Refused, match=r"rank 0 at 127\.0\.0\.1:\d+ cannot be reached: .*refused"):
        gathering.gather("one", seconds=0.2)


def _knock(data: bytes) -> None:
    import os

    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(os.environ["MASTER_PORT"])), timeout=PATIENCE) as stranger:
                stranger.sendall(data)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(2) == b""
                return
        except ConnectionRefusedError:  # rank 0 does not listen yet
            continue


def test_ranks_that_have_met_exchange_as_often_as_they_like(environ: Environ) -> None:
    rounds = 20

    def each(rank: int) -> list[object]:
        with meetings[rank] as met:
            return [met.exchange(rank + turn, sum) for turn in range(rounds)]

    meetings = meet(environ, 3)
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(each, range(3))) == [[3 + 3 * turn for turn in range(rounds)]] * 3


def test_a_rank_that_ends_before_the_others_is_named(environ: Environ) -> None:
    meetings = meet(environ, 3)
    meetings[1].__exit__()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(meetings[0].exchange, None, len)
        last = pool.submit(meetings[2].exchange, None, len)
        with pytest.raises(Refused, match="rank 1 has ended"):
            first.result(timeout=PATIENCE)
        meetings[0].__exit__()
        with pytest.raises(Refused, match="rank 0 has ended"):
            last.result(timeout=PATIENCE)
    meetings[2].__exit__()


def meet(environ: Environ, world: int) -> list[gathering.Meeting]:
    """The ranks of a job, which have found each other."""
    environ(0, world)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(gathering.Meeting, 0)
        _knock(b"")  # it listens, so that it has read the environment
        others = []
        for rank in range(1, world):
            environ(rank, world)
            others.append(gathering.Meeting(rank))
        met = [first.result(timeout=PATIENCE), *others]
    assert met[0].values == [0, 1, 2]
    return met
