"""Five kinds of secret, planted in a direct, a container and a Slurm run: where they must not be seen, they are not."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster.docker import Docker
from .cluster.slurm import Slurm
from .conftest import PATIENCE, PATIENT, Start

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.docker, pytest.mark.mlflow]

SHELL = {
    "HF_TOKEN": "hf_planted-in-the-shell",
    "SSH_PRIVATE_KEY": "-----BEGIN KEY-----\nplanted+second/line==\n-----END KEY-----",
    "PGPASSWORD": "planted $HOME `word`",
}
"""Handed on by name; one of several lines, one that a shell would change."""
TYPED = {"WANDB_API_KEY": "planted-on-the-command-line", "PROXY": "https://me:planted-in-a-url@proxy.example:3128/"}
NEEDLES = (
    *("hf_planted-in-the-shell", "planted+second/line==", "planted $HOME", "planted-on-the-command-line"),
    "planted-in-a-url",
)
PRINTS = """
import json, os, sys, time
names = ("HF_TOKEN", "SSH_PRIVATE_KEY", "PGPASSWORD", "WANDB_API_KEY", "PROXY")
assert all("planted" in os.environ[name] for name in names), "a secret did not arrive"
for name in names:
    print(name, os.environ[name], file=sys.stderr if name == "PROXY" else sys.stdout, flush=True)
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    file.write(json.dumps({"time": time.time(), "step": 1, "loss": 1.0}) + "\\n")
time.sleep(1.5)
raise SystemExit("HF_TOKEN was " + os.environ["HF_TOKEN"])
"""


class CommandLines:
    """Every command line of this machine, looked at until the end of the context, but those of `primus` as typed."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "CommandLines":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"env.set.WANDB_API_KEY=planted-on-the-command-line" not in words:  # what the user typed
                    self.found.add(b" ".join(words).decode(errors="replace"))


@pytest.fixture
def places(docker: Docker, slurm: Slurm) -> dict[str, tuple[str, ...]]:
    return {
        "direct": (),
        "container": ("runtime=container", "container=docker", f"container.image={docker.image}"),
        "slurm": ("runtime=slurm", "runtime.nodes=2"),
    }


def files(*roots: Path) -> Iterator[tuple[Path, bytes]]:
    for root in roots:
        for folder, _, names in os.walk(root):
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    yield path, path.read_bytes()


@pytest.mark.parametrize("where", ["direct", "container", "slurm"])
def test_no_secret_is_in_a_file_an_argument_the_record_or_what_is_printed(
    where: str, start: Start, work: Path, places: dict[str, tuple[str, ...]], docker: Docker
) -> None:
    (work / "rank.py").write_text(PRINTS)
    given = [f"env.set.{name}={value}" for name, value in TYPED.items()]
    words = ("task=command", "task.command=[python3,-I,-S,rank.py]", f"env.forward=[{','.join(SHELL)}]", *given)
    with CommandLines() as seen:
        process = start(*words, *places[where], PATIENT, **SHELL)
        out, err = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 1, out + err
    assert "HF_TOKEN was ***" in err
    assert (work / "outputs/mlflow.db").is_file()
    for needle in NEEDLES:
        assert needle not in out + err
        assert [line for line in seen.found if needle in line] == []
        kept = files(work, docker.directory / "data/containers")
        assert [str(path) for path, content in kept if needle.encode() in content] == []
