"""What is said to podman, and agents in its real containers."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from primus.node.container.podman import argv
from primus.node.plan import Container

from ...cluster.podman import Podman, store
from ..conftest import PATIENCE, Run
from .starts import AMD, NVIDIA, SOMEBODY, follows, start


def test_it_is_as_with_docker_but_for_limits_which_are_those_of_the_node() -> None:
    words = argv(start("podman", SOMEBODY, user="0:0"))
    assert words[:5] == ("podman", "run", "--rm", "--interactive", "--name")
    assert follows(words, "--pids-limit", "-1", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=-1:-1")
    assert words[-3:] == ("some/image:1", "-I", "/opt/primus/node")


def test_a_limit_of_the_users_wins_over_that_of_the_node() -> None:
    words = argv(start("podman", SOMEBODY, ulimits=("nofile=9:9",)))
    assert [words[i + 1] for i, w in enumerate(words) if w == "--ulimit"] == ["nofile=9:9", "nproc=-1:-1"]


def test_without_root_the_user_is_the_same_inside_and_outside() -> None:
    assert follows(argv(start("podman", SOMEBODY)), "--userns", "keep-id", "--user", "1000:100")
    assert "--userns" not in argv(start("podman"))


def test_gpus_of_nvidia_are_devices_by_cdi_those_of_amd_files() -> None:
    assert follows(argv(start("podman", NVIDIA)), "--device", "nvidia.com/gpu=all")
    assert follows(argv(start("podman", AMD)), "--device", "/dev/kfd", "--device", "/dev/dri")


WAITS = "import time; print('waiting', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def podman_store() -> Iterator[Podman]:
    with store() as found:
        yield found


@pytest.fixture
def podman(podman_store: Podman, monkeypatch: pytest.MonkeyPatch) -> Podman:
    for name, value in podman_store.environ.items():
        monkeypatch.setenv(name, value)
    return podman_store


@pytest.fixture
def contained(make: Callable[..., Run], podman: Podman) -> Callable[..., Run]:
    return lambda script, **how: make(script, container=Container("podman", podman.image), **how)


def gone(podman: Podman) -> bool:
    """Whether every container is removed, waiting for it."""
    until = time.monotonic() + PATIENCE
    while podman.containers():
        assert time.monotonic() < until, podman.containers()
        time.sleep(0.1)
    return True


@pytest.mark.podman
def test_a_rank_runs_in_podman_and_its_exit_code_is_that_of_the_command(
    contained: Callable[..., Run], podman: Podman
) -> None:
    run = contained("import sys; print(sys.version_info[:2]); sys.exit(7)")
    agent = run.finish()
    assert (agent.code, agent.shown) == (7, b"(3, 11)\n")
    assert run.facts["container"]["digest"] in podman.ask("image", "inspect", "--format", "{{.Id}}", podman.image)
    assert podman.containers() == []


@pytest.mark.podman
def test_podman_hands_on_a_request_to_end(contained: Callable[..., Run], podman: Podman) -> None:
    agent = contained(WAITS).start()
    assert agent.line() == "waiting"
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 143
    assert podman.containers() == []


@pytest.mark.podman
def test_a_container_of_podman_whose_starter_is_killed_ends_by_itself(
    contained: Callable[..., Run], podman: Podman
) -> None:
    agent = contained(WAITS).start()
    assert agent.line() == "waiting"
    for pid in (agent.process.pid, agent.agent_pid):
        os.kill(pid, signal.SIGKILL)
    assert gone(podman)


@pytest.mark.podman
def test_an_image_that_podman_has_not_is_said(contained: Callable[..., Run], make: Callable[..., Run]) -> None:
    run = make("", container=Container("podman", "localhost/nothing:1"))
    agent = run.finish()
    assert agent.code == 2
    assert "podman has no image localhost/nothing:1" in run.outcome["message"]
