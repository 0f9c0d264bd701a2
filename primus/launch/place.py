"""Where and when a command was typed: all that planning takes from its surroundings, read once, without a process."""

import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from primus.node import rdma
from primus.node.devices import Devices, detect
from primus.node.plan import Code


@dataclass(frozen=True)
class Place:
    """The surroundings of one command. `primus` is the package's directory, `python` the interpreter that runs it.

    `cores`: how many this process may use; `ports`: of RDMA, for a job of several nodes.
    """

    directory: Path
    primus: Path
    python: str
    environ: Mapping[str, str]
    code: Code
    devices: Devices
    cores: int = 1
    ports: tuple[rdma.Port, ...] = ()


def here(gpu: str, several: bool = False) -> Place:
    """The place of this process; `gpu` is the chosen profile (auto, cpu, ...), `several`: the job has several nodes."""
    directory = Path.cwd()
    devices = detect(gpu, os.environ)
    return Place(
        directory=directory,
        primus=Path(__file__).resolve().parents[1],
        python=sys.executable,
        environ=dict(os.environ),
        code=code(directory),
        devices=devices,
        cores=len(os.sched_getaffinity(0)),
        ports=rdma.survey(devices.count) if several and devices.count else (),
    )


def new_run_id() -> str:
    """`20261121-093012-4f2a9c`: sorts by time, and differs between runs that start in the same second."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def code(directory: Path) -> Code:
    """The git checkout around `directory`, read from its files: a dry run starts no process, git included."""
    for root in (directory, *directory.parents):
        git = root / ".git"
        if git.is_file():  # a worktree or a submodule: "gitdir: <path>"
            git = root / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        if (git / "HEAD").is_file():
            return Code(str(root), _commit(git))
    return Code(str(directory), None)


def _commit(git: Path) -> str | None:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    shared = git / (git / "commondir").read_text().strip() if (git / "commondir").is_file() else git
    for base in (git, shared):
        if (base / ref).is_file():
            return (base / ref).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split(" ")[0] for line in lines if line.endswith(f" {ref}")), None)
