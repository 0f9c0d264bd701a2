"""A shell in the place of a rank, at a real terminal."""

import signal
from pathlib import Path

import pytest

from ...cluster.docker import Docker
from ...conftest import Primus, Rank, Start, gone
from ...terminal import primus_at_a_terminal

OFF = "tracking.enabled=false"
# What makes one start different from another, and what a shell sets for itself.
OF_A_START = {
    "PRIMUS_RUN_DIR",
    "PRIMUS_RUN_ID",
    "PRIMUS_METRICS",
    "PRIMUS_HEARTBEAT",
    "PRIMUS_STOP_FILE",
    "MASTER_PORT",
}
OF_A_SHELL = {"_", "OLDPWD", "PWD", "SHLVL"}


def variables(file: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text().split("\0") if line)
    return {name: value for name, _, value in pairs if name not in OF_A_START | OF_A_SHELL}


def test_the_environment_is_that_of_rank_0(primus: Primus, rank: Rank, work: Path) -> None:
    typed = ("env.set.NCCL_DEBUG=INFO", "env.set.HF_TOKEN=hf_abcdefgh", "ranks_per_node=2", "env.set.X= a  $b")
    text = "import os\nif os.environ['RANK'] == '0': open('rank', 'w').write(open('/proc/self/environ').read())"
    assert primus(*rank(text), OFF, *typed).code == 0
    with primus_at_a_terminal("task=shell", *typed, SHELL="/bin/sh") as terminal:
        terminal.type("cat /proc/$$/environ > shell; pwd; exit 7\n")
        assert terminal.wait() == 7
    assert str(work) in terminal.shown
    found = variables(work / "shell")
    backend = {name: value for name, value in found.items() if name.startswith("TORCHINDUCTOR_")}
    assert backend, "what the backend gives its ranks"
    expected = {**variables(work / "rank"), **backend, "SHELL": "/bin/sh"}
    assert found.pop("PYTHONPATH")  # by which this test finds Primus
    expected.pop("PYTHONPATH", None)
    assert found == expected
    assert (found["HF_TOKEN"], found["X"], found["WORLD_SIZE"]) == ("hf_abcdefgh", " a  $b", "2")


def test_nothing_is_left_of_it(work: Path) -> None:
    with primus_at_a_terminal("task=shell", SHELL="/bin/sh") as terminal:
        terminal.type("echo 1 > $PRIMUS_METRICS && ls $PRIMUS_RUN_DIR && exit\n")
        assert terminal.wait() == 0
    assert "plan.json" in terminal.shown
    assert [*(work / "outputs").iterdir()] == []


def test_keys_are_those_of_the_program_that_has_the_terminal(work: Path) -> None:
    """Ctrl-C ends what runs in the shell: neither the shell nor Primus."""
    with primus_at_a_terminal("task=shell", SHELL="/bin/sh", PS1="ready> ") as terminal:
        terminal.type("sh -c 'test -t 0 && echo at-a-$((1+1))-terminal; exec sleep 600'\n")
        terminal.until("at-a-2-terminal")
        terminal.type("\x03")
        terminal.until("^C\r\nready> ")
        terminal.type("echo still-$((1+1))-here; exit\n")
        terminal.until("still-2-here")
        terminal.wait()


def test_a_terminal_that_goes_away_takes_the_shell_with_it(work: Path) -> None:
    with primus_at_a_terminal("task=shell", SHELL="/bin/sh") as terminal:
        terminal.type("echo $$ > pid; echo writ''ten\n")
        terminal.until("written")
        pid = int((work / "pid").read_text())
        terminal.process.send_signal(signal.SIGTERM)
        terminal.wait()
        assert gone(pid)
    assert [*(work / "outputs").iterdir()] == []


def test_a_shell_that_ignores_the_end_of_its_terminal_is_killed(work: Path) -> None:
    with primus_at_a_terminal("task=shell", SHELL="/bin/sh") as terminal:
        terminal.type("trap '' HUP TERM; echo $$ > pid; echo writ''ten\n")
        terminal.until("written")
        pid = int((work / "pid").read_text())
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGKILL
        assert gone(pid)


def test_a_shell_that_the_node_has_not_is_replaced(work: Path) -> None:
    with primus_at_a_terminal("task=shell", SHELL="/nowhere/zsh") as terminal:
        terminal.type("echo it-is-$0; exit\n")
        terminal.until("it-is-/bin/bash")
        assert terminal.wait() == 0


def test_a_program_can_run_there_instead_without_a_terminal(start: Start) -> None:
    shell = start("task=shell", "task.command='sh -c \"echo rank $RANK; exit 3\"'")
    assert shell.communicate() == ("rank 0\n", "")
    assert shell.returncode == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "task=shell needs a terminal; to run one program there, give task.command=…"),
        (("task.command=nowhere",), 3, "cannot run nowhere in {work}: No such file or directory"),
        (("-m", "task.command=true,false"), 2, "task=shell runs where you type, once: leave out --multirun"),
    ],
)
def test_what_cannot_be_is_said(start: Start, work: Path, words: tuple[str, ...], code: int, said: str) -> None:
    shell = start("task=shell", *words)
    assert shell.communicate() == ("", f"primus: {said.format(work=work)}\n")
    assert shell.returncode == code


def test_a_dry_run_shows_the_environment_and_opens_nothing(primus: Primus, work: Path) -> None:
    said = primus("task=shell", "env.set.X=1", "dry_run=true")
    assert "  X=1  <- command line: env.set.X\n" in said.out
    assert "--node-rank 0 --shell\n" in said.out
    assert [*work.iterdir()] == []


@pytest.mark.docker
def test_in_a_container_it_is_at_a_terminal_too_and_gets_the_secrets(work: Path, docker: Docker, rank: Rank) -> None:
    words = ("runtime=container", "container=docker", f"container.image={docker.image}", "env.set.HF_TOKEN=hf_abcdefgh")
    with primus_at_a_terminal("task=shell", *words, SHELL="/nowhere/zsh", PS1="ready> ") as terminal:
        terminal.type("test -t 0 && echo $RANK-${#HF_TOKEN}-$PWD; echo writ''ten\n")
        terminal.until("written")
        assert f"0-11-{work}" in terminal.shown
        everything = docker.ask("inspect", docker.running())
        assert "hf_abcdefgh" not in everything
        assert not [p for p in (work / "outputs").rglob("*") if p.is_file() and "hf_abcdefgh" in p.read_text()]
        terminal.type("exit 7\n")
        assert terminal.wait() == 7
    assert docker.empty()
    assert [*(work / "outputs").iterdir()] == []


@pytest.mark.docker
@pytest.mark.parametrize("shell", ["", "trap '' HUP TERM; "])
def test_its_container_goes_with_the_terminal(work: Path, docker: Docker, shell: str) -> None:
    words = ("runtime=container", "container=docker", f"container.image={docker.image}")
    with primus_at_a_terminal("task=shell", *words) as terminal:
        terminal.type(f"{shell}echo writ''ten\n")
        terminal.until("written")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.wait()
    assert docker.empty()


@pytest.mark.docker
def test_in_a_container_a_program_can_run_without_a_terminal(start: Start, docker: Docker) -> None:
    words = ("runtime=container", "container=docker", f"container.image={docker.image}")
    shell = start("task=shell", *words, "task.command='sh -c \"echo rank $RANK; exit 3\"'")
    assert shell.communicate() == ("rank 0\n", "")
    assert shell.returncode == 3
