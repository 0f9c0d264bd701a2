"""`runtime=container` by the real command in a real engine: what is refused at once, and that the rest is as direct."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from primus.node.plan import from_json

from ...cluster.docker import Docker
from ...conftest import PATIENCE, Primus, Start, everything, gone

OFF = "tracking.enabled=false"
WAITS = "import os, time; print('waiting', flush=True); time.sleep(600)"
TELLS = """
import json, os, sys
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    for step in (1, 2):
        file.write(json.dumps({"time": 1.0, "step": step, "loss": 3.0 / step}) + "\\n")
print(json.dumps(dict(os.environ)))
sys.exit(int(os.environ["CODE"]))
"""
OF_THE_RUN = (
    "PRIMUS_METRICS",
    "PRIMUS_HEARTBEAT",
    "PRIMUS_STOP_FILE",
    "PRIMUS_RUN_DIR",
    "PRIMUS_RUN_ID",
    "MASTER_PORT",
)
LastRun = Callable[[], Path]


@pytest.fixture
def job(work: Path) -> Callable[[str], tuple[str, ...]]:
    """The overrides of a job whose ranks run this text by whatever `python3` is on their PATH."""

    def override(text: str) -> tuple[str, ...]:
        (work / "rank.py").write_text(text)
        return "task=command", "task.command=[python3,-I,-S,rank.py]", "node.metrics_interval=0", OFF

    return override


Job = Callable[[str], tuple[str, ...]]


@pytest.fixture
def last_run(work: Path) -> LastRun:
    return lambda: max((work / "outputs/default").iterdir(), key=lambda path: path.stat().st_ctime)


def inside(docker: Docker, name: str = "docker") -> tuple[str, ...]:
    return "runtime=container", f"container={name}", f"container.image={docker.image}"


def result(run: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((run / "result.json").read_text())
    return told


@pytest.mark.docker
@pytest.mark.parametrize("code", [0, 3])
def test_status_metrics_files_and_environment_are_those_of_a_direct_run(
    primus: Primus, job: Job, docker: Docker, last_run: LastRun, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("OF_THE_SHELL", "1")
    words = (*job(TELLS), f"env.set.CODE={code}", "env.set.OMP_NUM_THREADS=2", "env.set.HERE={primus.node_rank}")
    ended, found = [], []
    for where in ((), inside(docker)):
        said = primus(*words, *where)
        run = last_run()
        text = (run / "logs/node-0/rank-0.log").read_text().split(" | ", 1)[1]
        ended.append((said.code, {k: v for k, v in result(run).items() if k in ("status", "exit_code", "metrics")}))
        found.append((json.loads(text), [n for n in everything(run) if "code" not in n]))
    assert ended[0] == ended[1]
    assert ended[0][0] == (1 if code else 0)
    (direct, files), (contained, same_files) = found
    assert files == same_files
    own = ("HOME", "PATH", "HOSTNAME", "LC_CTYPE", "PRIMUS_CONTAINER", *OF_THE_RUN)
    assert {n: v for n, v in contained.items() if n not in own} == {
        n: v for n, v in direct.items() if n in contained and n not in own
    }
    assert "OF_THE_SHELL" not in contained
    assert docker.containers() == []


@pytest.mark.docker
def test_ctrl_c_ends_the_container_and_the_record_says_killed(
    start: Start, job: Job, docker: Docker, last_run: LastRun
) -> None:
    process = start(*job(WAITS), *inside(docker))
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert result(last_run())["status"] == "KILLED"
    assert docker.containers() == []


@pytest.mark.docker
def test_a_launcher_that_is_killed_takes_its_container_with_it(start: Start, job: Job, docker: Docker) -> None:
    process = start(*job(WAITS), *inside(docker))
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    pid = int(docker.ask("inspect", "--format", "{{.State.Pid}}", docker.running()))
    process.kill()
    process.communicate()
    assert gone(pid)
    assert docker.empty()


@pytest.mark.docker
def test_the_jobs_of_a_sweep_have_containers_of_their_own(primus: Primus, job: Job, docker: Docker) -> None:
    said = primus("-m", *job("import os; print(os.environ['N'])"), *inside(docker), "env.set.N=1,2")
    assert said.code == 0, said.err
    assert "(2 of 2 jobs finished)" in said.out
    assert docker.containers() == []


@pytest.mark.docker
def test_an_image_that_is_missing_is_said_before_anything_is_written(
    primus: Primus, job: Job, docker: Docker, work: Path
) -> None:
    said = primus(*job(""), "runtime=container", "container.image=nobody/nothing", "container=docker")
    assert (said.code, said.err) == (
        2,
        "primus: container.image: docker has no image nobody/nothing: "
        "docker pull nobody/nothing, or container.pull=missing\n",
    )
    assert everything(work) == ["rank.py"]


@pytest.mark.docker
def test_an_image_that_cannot_be_fetched_either_is_the_end_of_the_job(primus: Primus, job: Job, docker: Docker) -> None:
    words = ("container.image=localhost:1/nothing", "container=docker", "container.pull=missing")
    said = primus(*job(""), "runtime=container", *words)
    assert said.code == 2
    assert "docker cannot pull localhost:1/nothing: " in said.err


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with no engine; a test puts one there."""
    bare = tmp_path / "bin"
    bare.mkdir()
    monkeypatch.setenv("PATH", str(bare))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    return bare


def program(folder: Path, name: str, text: str = "exit 1") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_an_engine_that_is_not_here_is_said_with_those_that_are(primus: Primus, job: Job, nothing: Path) -> None:
    program(nothing, "podman")
    said = primus(*job(""), "runtime=container", "container=docker", "container.image=x")
    assert (said.code, said.err) == (
        3,
        "primus: container=docker: there is no program 'docker' on PATH; here is podman (container=podman)\n",
    )


def test_an_engine_that_does_not_answer_is_said_in_its_own_words(primus: Primus, job: Job, nothing: Path) -> None:
    program(nothing, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    said = primus(*job(""), "runtime=container", "container=docker", "container.image=x")
    assert (said.code, said.err) == (
        3,
        "primus: container=docker: docker does not answer: Cannot connect to the Docker daemon\n",
    )


def test_the_engine_that_is_here_is_taken_where_none_was_named(primus: Primus, job: Job, nothing: Path) -> None:
    program(nothing, "podman")
    for choice in ((), ("container=auto",)):
        said = primus(*job(""), "runtime=container", "container.image=x", *choice, "dry_run=json")
        container = from_json(said.out).container
        assert container
        assert container.engine == "podman"
    (nothing / "podman").unlink()
    said = primus(*job(""), "runtime=container", "container.image=x", "dry_run=true")
    assert said.code == 2
    assert "none of docker, podman and apptainer is on PATH here" in said.err


def test_a_dry_run_prints_the_whole_command_of_the_engine_and_starts_nothing(
    primus: Primus, job: Job, nothing: Path, work: Path
) -> None:
    program(nothing, "docker", "touch started")
    said = primus(*job(""), "runtime=container", "container=docker", "container.image=some/image:1", "dry_run=true")
    assert (said.code, said.err) == (0, "")
    (line,) = (line for line in said.out.splitlines() if line.startswith("container "))
    assert line.split(None, 1)[1].startswith("docker run --rm --interactive --name primus-")
    assert " some/image:1 -I -S " in line
    assert line.endswith("--inside --lifeline 0  (as on this machine)")
    assert everything(work) == ["rank.py"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("container=docker",), "container=docker: runtime=direct has no container; take runtime=container"),
        (("runtime=container", "container=docker", "container.image=null"), "container.image is missing"),
        (("runtime=container", "container=pyxis"), "container=pyxis is a part of Slurm: take runtime=slurm"),
        (("runtime=container", "container=doker"), "docker"),
        (
            ("runtime=container", "runtime.nodes=2"),
            "runtime.nodes: 2, and runtime=container runs on this machine alone",
        ),
        (("runtime=container", "container.mounts=[data]"), "container.mounts: "),
        (("runtime=container", "container.mounts=['/a:b']"), "'/a:b' is none of: /path, /path:ro, /path:/inside"),
        (("runtime=container", "container.mounts=['/etc:/usr']"), "/usr of the node would hide the image's own"),
        (("runtime=container", "container.mounts=['/etc/a,b']"), "'/etc/a,b' holds ','"),
        (("runtime=slurm", "container=pyxis", "container.mounts=['/a,b:/c']"), "container.mounts: '/a,b' holds ','"),
        (("runtime=slurm", "container=apptainer", "container.mounts=['/a,b']"), "container.mounts: '/a,b' holds ','"),
        (("runtime=slurm", "container=apptainer", "container.image=/nope/x.sif"), "/nope/x.sif is not there"),
        (("runtime=slurm", "container=pyxis", "container.image=/nope/x.sqsh"), "/nope/x.sqsh is not there"),
        (("runtime=container", "container.ulimits=[nofile]"), "container.ulimits: 'nofile' is not name=soft:hard"),
        (("runtime=container", "container.shm_size=much"), "container.shm_size: 'much' is not a size such as 16g"),
        (("runtime=container", "container.user='a b'"), "container.user: 'a b' is not a user, or user:group"),
        (("runtime=container", "container.image=-x"), "container.image: '-x' is not a name"),
        (("runtime=container", "container.options=[--detach]"), "container.options: --detach is Primus's own to give"),
        (("runtime=container", "container.options=[-e]"), "container.options: -e is Primus's own to give"),
        (("runtime=container", "container.environment=['MY_TOKEN=x']"), "MY_TOKEN is a secret"),
        (("runtime=container", "container.environment=['RANK=1']"), "container.environment: each rank has RANK"),
        (
            ("runtime=container", "container=apptainer", "container.user=me"),
            "container.user: apptainer has no such thing; give what it has by container.options",
        ),
        (("runtime=container", "container.pull=often"), "container.pull: 'often' is not among missing, always"),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused_before_a_start(
    primus: Primus, job: Job, nothing: Path, work: Path, words: tuple[str, ...], told: str
) -> None:
    program(nothing, "docker")
    image = () if any("image" in word for word in words) else ("container.image=x",)
    said = primus(*job(""), *words, *image)
    assert said.code == 2
    assert told in said.err
    assert everything(work) == ["rank.py"]


def test_what_may_be_on_the_nodes_alone_is_warned_of_before_it_is_queued(
    primus: Primus, job: Job, nothing: Path, work: Path
) -> None:
    image = "container.image=/dev/shm/not-there.sqsh"  # of this machine, other than the run
    said = primus(*job(""), "runtime=slurm", "container=pyxis", image, "container.mounts=[/not/there]")
    assert said.code == 3  # there is no Slurm
    assert "container.mounts: /not/there is not on this machine: every node of the job has to have it" in said.err
    assert "container.image: /dev/shm/not-there.sqsh is not on this machine" in said.err


def test_a_working_directory_that_would_hide_the_images_own_is_named_as_such(
    primus: Primus, job: Job, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(nothing, "docker")
    monkeypatch.chdir("/tmp")
    words = ("runtime=container", "container.image=x", "task=command", "task.command=['true']")
    said = primus(*words)
    assert (said.code, said.err) == (
        2,
        "primus: the working directory: /tmp of the node would hide the image's own: start from a folder below it\n",
    )
    assert primus(*words, "container.mounts=[/tmp]").err.startswith("primus: container.mounts: /tmp of the node")


def test_paths_of_mounts_are_those_of_the_working_directory(
    primus: Primus, job: Job, nothing: Path, work: Path
) -> None:
    program(nothing, "docker")
    mounts = "container.mounts=[/data,'more:ro','/a:/b','/c/../d:/e:ro']"
    said = primus(*job(""), "runtime=container", "container.image=x", mounts, "dry_run=json")
    container = from_json(said.out).container
    assert container
    assert [(m.source, m.target, m.read_only) for m in container.mounts] == [
        ("/data", "/data", False),
        (str(work / "more"), str(work / "more"), True),
        ("/a", "/b", False),
        ("/d", "/e", True),
    ]


def test_ranks_of_a_backend_are_run_by_the_images_python_or_the_one_that_was_named(
    primus: Primus, nothing: Path, work: Path
) -> None:
    program(nothing, "docker")
    words = ("runtime=container", "container.image=x", "container.python=/opt/python", "dry_run=json")
    assert from_json(primus(*words).out).job.command[0] == "/opt/python"
    assert from_json(primus(*words, "backend.python=/opt/other").out).job.command[0] == "/opt/other"


def test_a_checkout_of_the_framework_is_mounted(primus: Primus, nothing: Path, work: Path) -> None:
    program(nothing, "docker")
    said = primus("runtime=container", "container.image=x", "backend.path=/src/torchtitan", "dry_run=json")
    container = from_json(said.out).container
    assert container
    assert [(m.target, m.read_only) for m in container.mounts] == [("/src/torchtitan", True)]


@pytest.mark.docker
def test_a_replay_says_that_the_image_is_another(primus: Primus, job: Job, docker: Docker, last_run: LastRun) -> None:
    docker.ask("tag", docker.image, "moving:latest")
    words = ("runtime=container", "container=docker", "container.image=moving:latest")
    assert primus(*job("print('hello')"), *words).code == 0
    first = last_run()
    subprocess.run(["docker", "import", "-", "moving:latest"], input=b"\0" * 1024, check=True, capture_output=True)
    said = primus(f"replay={first}", "replay_strict=true")
    assert said.code == 3
    assert "image: sha256:" in said.err
