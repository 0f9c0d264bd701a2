"""`~/.primus.yaml`, in words of `primus`: what AMD's launcher reads there counts here too."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.launch.cli.translate import Translation, translate
from primus.launch.problems import BadRequest

# The keys of runner/.primus.yaml of AMD-AGI/Primus v26.5.
THEIRS = """
main: {debug: false, dry_run: false}
slurm:
  debug: false
  # partition: ""
  nodes: 2
  gpus_per_node: 8
  time: "4:00:00"
container:
  options:
    image: "rocm/primus:v25.9_gfx942"
    ipc: "host"
    memory: "256G"
    name: "primus-training"
    privileged: "true"
    device: ["/dev/kfd", "/dev/dri", "/dev/other"]
    cap-add: ["SYS_PTRACE"]
    volume: ["/data:/data"]
    env: ["NCCL_DEBUG=INFO"]
direct:
  gpus_per_node: 8
  master_port: 1234
  run_mode: "torchrun"
  numa: "auto"
  log_file: ""
  patches: [fix.sh]
  env: ["A=1"]
"""

Told = Callable[[str], Translation]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Translate a line as the user whose home has this file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".primus.yaml").write_text(THEIRS)
    return lambda line: translate(shlex.split(line), {"HOME": str(tmp_path)})


DIRECT = {"ranks_per_node=8", "node.numa=auto", "patches=[fix.sh]", "env.set.A=1"}


def test_a_direct_run_has_the_defaults_of_direct(told: Told) -> None:
    assert set(told("direct -- preflight").words) == {"runtime=direct", "task=preflight", *DIRECT}


def test_a_container_in_slurm_has_those_of_all_three(told: Told) -> None:
    words = set(told("slurm srun -- container -- preflight").words)
    assert words == {
        *("runtime=slurm", "container=auto", "task=preflight"),
        *("runtime.nodes=2", "runtime.gpus_per_node=8", "runtime.time=4:00:00"),
        *("container.image=rocm/primus:v25.9_gfx942", "container.mounts=[/data:/data]"),
        "container.options=['--ipc=host','--memory=256G','--privileged','--device=/dev/other','--cap-add=SYS_PTRACE']",
        *("env.set.NCCL_DEBUG=INFO", *DIRECT),
    }
    assert not [word for word in told("slurm srun -- preflight").words if word.startswith("container")]


def test_a_time_needs_no_quotes(told: Told, tmp_path: Path) -> None:
    (tmp_path / ".primus.yaml").write_text("slurm: {time: 4:00:00}\n")
    assert "runtime.time=4:00:00" in told("slurm srun -- preflight").words


def test_what_is_typed_wins_and_what_may_be_given_several_times_adds_up(told: Told, tmp_path: Path) -> None:
    line = "slurm srun -N 4 --time 30 -- container --mount /more:/more --no-numa -- preflight ranks_per_node=2"
    words = told(line).words
    assert {"runtime.nodes=4", "runtime.time=30", "node.numa=none", "ranks_per_node=2"} <= set(words)
    assert "ranks_per_node=8" not in words
    assert "container.mounts=[/data:/data,/more:/more]" in words
    (tmp_path / "e.yaml").write_text("ranks_per_node: 1\ntask: {steps: 7}\n")
    assert "ranks_per_node=8" not in told("direct -- train pretrain --config e.yaml").words


def test_a_replay_is_what_the_run_was(told: Told) -> None:
    assert told("direct -- train pretrain --replay runs/1").words == (
        "runtime=direct",
        "container=none",
        "replay=runs/1",
    )


def test_what_primus_does_by_itself_is_told_when_asked_for(told: Told, tmp_path: Path) -> None:
    said = told("container -- preflight")
    at = f"{tmp_path}/.primus.yaml: "
    assert said.warnings == ()
    assert [text.removeprefix(at) for text in said.account] == [
        "container.options.name: not taken: Primus names its containers after the run",
        "container.options.device: not taken: /dev/kfd is given where the node has it",
        "container.options.device: not taken: /dev/dri is given where the node has it",
        "direct.master_port: not taken: a free port is found; env.set.MASTER_PORT=<port> for one of yours",
        "direct.run_mode: not taken: Primus starts the ranks itself",
    ]


def test_keys_that_nobody_knows_are_named_and_switches_are_read(told: Told, tmp_path: Path) -> None:
    (tmp_path / ".primus.yaml").write_text(
        "main: {dry_run: true}\nslurm: {partion: x, requeue: 'yes', contiguous: maybe}\nkubernetes: {a: 1}\ndirect:\n"
    )
    said = told("slurm sbatch -- preflight")
    assert said.explain
    assert {"dry_run=true", "runtime.requeue=true"} <= set(said.words)
    assert [text.partition(".primus.yaml: ")[2] for text in (*said.warnings, *said.account)] == [
        "slurm.partion: there is no such key",
        "kubernetes: there is no such key",
        "slurm.contiguous: not taken: 'maybe' is neither true nor false",
    ]


def test_a_switch_of_sbatch_that_may_have_a_value_takes_either(told: Told, tmp_path: Path) -> None:
    (tmp_path / ".primus.yaml").write_text("slurm: {exclusive: user, nice: 10, propagate: true, get-user-env: false}\n")
    assert told("slurm -- preflight").words[2:] == (
        *("runtime.options.exclusive=user", "runtime.options.nice=10", "runtime.options.propagate=true"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "cannot be read as YAML: while parsing"), ("- a", "must hold sections main, slurm"), ("main: 3", "hold")],
)
def test_a_file_that_is_none_is_refused(told: Told, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / ".primus.yaml").write_text(text)
    with pytest.raises(BadRequest) as refused:
        told("direct -- preflight")
    assert f"{tmp_path}/.primus.yaml: " in str(refused.value)
    assert said in str(refused.value)


def test_without_the_file_there_are_no_defaults(told: Told, tmp_path: Path) -> None:
    (tmp_path / ".primus.yaml").unlink()
    assert told("direct -- preflight").words == ("runtime=direct", "task=preflight")
    (tmp_path / ".primus.yaml").write_text("# nothing yet\n")
    assert told("direct -- preflight").words == ("runtime=direct", "task=preflight")
