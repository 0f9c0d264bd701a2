"""Where the ranks meet."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from primus.node import rendezvous
from primus.node.plan import PlanError


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """What an agent holds until its process ends."""
    yield
    while rendezvous._held:
        rendezvous._held.pop().close()


def test_a_free_port_below_the_ephemeral_range_is_found():
    address, port = rendezvous.meet("run-a", 1, None)
    assert address == "127.0.0.1"
    assert 20000 <= port < 32000
    with socket.create_server((address, port)):
        pass


def test_a_port_that_something_listens_on_is_passed_over():
    _, port = rendezvous.meet("run-b", 1, None)
    script = "import sys; from primus.node import rendezvous; print(rendezvous.meet('run-b', 1, None)[1])"
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) != port


def test_two_agents_of_a_host_never_get_the_same_port():
    """Though neither rank has bound it yet: it takes seconds until one does."""
    assert rendezvous.meet("run-c", 1, None) != rendezvous.meet("run-c", 1, None)


def test_a_port_that_the_user_set_is_taken_as_it_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PlanError, match=f"MASTER_PORT={port} is taken on this host"):
            rendezvous.meet("run-d", 1, str(port))
    assert rendezvous.meet("run-d", 1, str(port)) == ("127.0.0.1", port)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", ""])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(PlanError, match="is no port"):
        rendezvous.meet("run-e", 1, text)


def test_more_than_one_node_is_refused_with_what_is_missing():
    with pytest.raises(PlanError, match="the plan has 2 nodes, and nothing says where they meet"):
        rendezvous.meet("run-f", 2, None)
