"""An agent in a real container of a real Docker engine, and everything around it killed in turn."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from primus.node.plan import Container, Layer, Mount

from ...cluster.docker import Docker
from ...conftest import command_lines
from ..conftest import Agent, Run

pytestmark = pytest.mark.docker

Make = Callable[..., Run]
WAITS = "import time; print('waiting', flush=True); time.sleep(600)"


@pytest.fixture
def contained(make: Make, docker: Docker) -> Make:
    """As `make`, in the engine's image."""

    def factory(script: str = "", **how: Any) -> Run:
        changes = how.pop("changes", {})
        return make(script, container=Container(**{"engine": "docker", "image": docker.image, **changes}), **how)

    return factory


def client(agent: Agent) -> int:
    """The process of `docker run`."""
    inner = agent.agent_pid
    (pid,) = Path(f"/proc/{inner}/task/{inner}/children").read_text().split()
    return int(pid)


def test_ranks_run_in_the_image_and_their_end_is_the_end_of_the_command(contained: Make, docker: Docker) -> None:
    run = contained("import os, sys; print(sys.version_info[:2], os.environ['RANK'])", ranks=2)
    agent = run.finish()
    assert (agent.code, agent.errors) == (0, b"")
    assert agent.shown == b"(3, 11) 0\n"
    assert run.messages(1) == ["(3, 11) 1"]
    assert run.outcome["status"] == "finished"
    assert docker.containers() == []


def test_the_exit_code_of_a_rank_is_that_of_the_command(contained: Make, docker: Docker) -> None:
    run = contained("import os, sys, time; sys.exit(7) if os.environ['RANK'] == '1' else time.sleep(600)", ranks=2)
    assert run.finish().code == 7
    assert (run.root_cause["rank"], run.root_cause["exit_code"]) == (1, 7)
    assert docker.containers() == []


def test_the_digest_of_the_image_is_in_the_facts_of_the_node(contained: Make, docker: Docker) -> None:
    run = contained()
    run.finish()
    found = run.facts["container"]
    assert found["digest"] == docker.ask("image", "inspect", "--format", "{{.Id}}", docker.image).strip()
    assert (found["engine"], found["image"]) == ("docker", docker.image)
    assert found["name"].startswith(f"primus-{json.loads(run.text('plan.json'))['run_id']}-0-")


def test_only_the_run_directory_can_be_written_to(contained: Make, tmp_path: Path) -> None:
    script = """
import os
for path in ("beside.txt", os.environ["PRIMUS_RUN_DIR"] + "/plan.json", os.environ["PRIMUS_RUN_DIR"] + "/mine.txt"):
    try:
        open(path, "a").close()
        print("yes", os.path.basename(path))
    except OSError as error:
        print(error.strerror)
"""
    run = contained(script)
    run.finish()
    assert run.messages() == ["Read-only file system", "Read-only file system", "yes mine.txt"]


def test_a_link_to_a_tree_elsewhere_is_followed(contained: Make, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/there.txt").write_text("found")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/source").symlink_to(tmp_path / "elsewhere")
    run = contained("print(open('there.txt').read())", directory=str(tmp_path / "run/source"))
    run.finish()
    assert run.messages() == ["found"]


def test_the_users_mounts_environment_and_limits_go_in(
    contained: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_1", "one")
    monkeypatch.setenv("OTHERS", "no")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    script = """
import os, resource
print(open("/in/x").read(), os.environ.get("OURS_1"), os.environ.get("OTHERS"), os.environ["SET"])
print(resource.getrlimit(resource.RLIMIT_NOFILE), os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize)
print(os.getuid(), os.getgid())
"""
    os.chmod(tmp_path / "data", 0o755)
    run = contained(
        script,
        changes={
            "mounts": (Mount(str(tmp_path / "data"), "/in", True),),
            "environment": ("OURS_*", "SET=a b"),
            "ulimits": ("nofile=512:600",),
            "shm_size": "32m",
            "user": "0:7",
        },
    )
    run.finish()
    assert run.messages() == ["x one None a b", f"(512, 600) {32 << 20}", "0 7"]


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is no core to leave out")
def test_ranks_are_kept_to_the_cores_that_the_starter_has(contained: Make) -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    os.sched_setaffinity(0, one)
    try:
        run = contained("import os; print(os.sched_getaffinity(0))")
        run.finish()
    finally:
        os.sched_setaffinity(0, before)
    assert run.messages() == [str(one)]


def test_a_secret_is_in_no_command_line_no_inspection_and_no_file_of_the_engine(
    contained: Make, docker: Docker, layer: Callable[..., Layer]
) -> None:
    secret = "hf_" + os.urandom(8).hex()
    run = contained(
        "import os; print(len(os.environ['HF_TOKEN']), flush=True); import time; time.sleep(600)",
        environment=[layer("user", "env.set", HF_TOKEN=None)],
    )
    agent = run.start(env={"HF_TOKEN": secret})
    assert agent.line() == "19"
    name = docker.running()
    assert not [words for words in command_lines().values() if secret.encode() in b" ".join(words)]
    assert secret not in docker.ask("inspect", name)
    found = subprocess.run(["grep", "-rlF", secret, str(docker.directory)], capture_output=True, text=True)
    assert found.stdout == ""
    agent.signal(signal.SIGTERM)
    agent.wait()
    assert secret not in "".join(p.read_text() for p in run.directory.rglob("*") if p.is_file())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_end_reaches_the_ranks(contained: Make, docker: Docker, number: signal.Signals) -> None:
    run = contained(WAITS)
    agent = run.start()
    assert agent.line() == "waiting"
    agent.signal(number)
    assert agent.wait() == 128 + number
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", f"ended by {number.name}")
    assert docker.containers() == []


def test_a_request_before_the_container_runs_is_not_lost(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agent = run.start()
    while not Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text():
        time.sleep(0.001)
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 143
    assert (run.outcome["status"], run.outcome["message"]) == ("killed", "ended by SIGTERM")
    assert docker.containers() == []


def test_the_end_of_the_lifeline_ends_the_ranks(contained: Make, docker: Docker) -> None:
    reading, writing = os.pipe()
    run = contained(WAITS)
    agent = run.start("--lifeline", str(reading), pass_fds=(reading,))
    os.close(reading)
    assert agent.line() == "waiting"
    os.close(writing)
    assert agent.wait() == 143
    assert run.outcome["message"] == "the launcher of the job is gone"
    assert docker.containers() == []


def test_a_container_whose_starter_is_killed_ends_by_itself(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agent = run.start()
    assert agent.line() == "waiting"
    inner = agent.agent_pid
    for pid in (agent.process.pid, inner):
        os.kill(pid, signal.SIGKILL)
    assert docker.empty()
    assert run.outcome["status"] == "killed"


def test_what_holds_the_container_is_killed_and_the_guard_removes_it(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agent = run.start()
    assert agent.line() == "waiting"
    os.kill(agent.agent_pid, signal.SIGKILL)
    assert agent.wait() != 0
    assert docker.containers() == []
    assert run.outcome["status"] in ("killed", "failed")


def test_a_container_whose_client_is_killed_is_ended(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agent = run.start()
    assert agent.line() == "waiting"
    os.kill(client(agent), signal.SIGKILL)
    assert agent.wait() != 0
    assert docker.containers() == []


def test_ranks_that_ignore_the_end_of_everything_are_killed(contained: Make, docker: Docker) -> None:
    run = contained(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}", grace_period=1.0)
    agent = run.start()
    assert agent.line() == "waiting"
    inner = agent.agent_pid
    for pid in (agent.process.pid, inner):
        os.kill(pid, signal.SIGKILL)
    assert docker.empty()


def test_a_container_that_is_killed_from_elsewhere_has_failed(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agent = run.start()
    assert agent.line() == "waiting"
    docker.ask("kill", docker.running())
    assert agent.wait() == 137
    assert (run.outcome["status"], run.outcome["message"]) == ("failed", "the container was ended by SIGKILL")
    assert run.facts["devices"]["vendor"] == "cpu"


def test_an_image_without_the_python_is_unfit(contained: Make, docker: Docker) -> None:
    run = contained(changes={"python": "python4"})
    agent = run.finish()
    assert agent.code == 3
    assert run.outcome["message"].startswith("docker could not run the container: ")
    assert "python4" in run.outcome["message"]
    assert docker.containers() == []


def test_an_image_that_is_missing_is_said(contained: Make) -> None:
    run = contained(changes={"image": "nobody/nothing:1"})
    agent = run.finish()
    assert agent.code == 2
    assert "docker has no image nobody/nothing:1: docker pull nobody/nothing:1, or container.pull=missing" in (
        agent.errors.decode()
    )
    assert run.outcome["status"] == "unfit"


def test_an_engine_that_does_not_answer_is_unfit(contained: Make) -> None:
    run = contained()
    agent = run.finish(env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert agent.code == 3
    assert "docker does not answer: " in run.outcome["message"]


def test_a_mount_that_is_missing_on_the_node_is_said(contained: Make) -> None:
    run = contained(changes={"mounts": (Mount("/not/there", "/not/there"),)})
    agent = run.finish()
    assert agent.code == 3
    assert "/not/there is not there" in run.outcome["message"]


def test_two_starts_of_one_plan_have_containers_of_their_own(contained: Make, docker: Docker) -> None:
    run = contained(WAITS)
    agents = [run.start(), run.start()]
    for agent in agents:
        assert agent.line() == "waiting"
    assert len(set(docker.containers())) == 2
    for agent in agents:
        agent.signal(signal.SIGTERM)
    for agent in agents:
        agent.wait()
    assert docker.containers() == []
