"""Where the ranks meet."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from primus.node import rendezvous
from primus.node.plan import PlanError
from primus.node.rendezvous import Meeting

from ..conftest import port


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """What an agent holds until its process ends."""
    before = len(rendezvous._held)
    yield
    while len(rendezvous._held) > before:
        rendezvous._held.pop().close()


def test_a_free_port_below_the_ephemeral_range_is_found():
    meeting = rendezvous.alone("run-a", None)
    assert (meeting.address, meeting.interface) == ("127.0.0.1", "")
    assert 20000 <= meeting.port < 32000
    with socket.create_server((meeting.address, meeting.port)):
        pass


def test_a_port_that_something_listens_on_is_passed_over():
    port = rendezvous.alone("run-b", None).port
    script = "import sys; from primus.node import rendezvous; print(rendezvous.alone('run-b', None).port)"
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) != port


def test_two_agents_of_a_host_never_get_the_same_port():
    """Though neither rank has bound it yet: it takes seconds until one does."""
    assert rendezvous.alone("run-c", None) != rendezvous.alone("run-c", None)


def test_a_port_that_the_user_set_is_taken_as_it_is():
    given = port()
    with socket.create_server(("127.0.0.1", given)), pytest.raises(PlanError, match=f"MASTER_PORT={given} is taken on"):
        rendezvous.alone("run-d", str(given))
    assert rendezvous.alone("run-d", str(given)) == Meeting("127.0.0.1", given)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", ""])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(PlanError, match="is no port"):
        rendezvous.alone("run-e", text)


def test_the_ports_of_a_job_are_the_same_for_all_of_its_nodes():
    assert rendezvous.candidates("4711") == rendezvous.candidates("4711")
    assert len(set(rendezvous.candidates("4711"))) > 1
    assert rendezvous.candidates("4711") != rendezvous.candidates("4712")
