"""What is said to apptainer, by its documentation (apptainer.org/docs/user, exec): it is not run here."""

import uuid
from pathlib import Path

from primus.node.container.apptainer import argv, digest, endings, pull

from .starts import AMD, NVIDIA, follows, start


def test_the_whole_command() -> None:
    assert argv(start("apptainer", environment=("A=b", "NCCL_*"), options=("--userns",))) == (
        *("apptainer", "exec", "--cleanenv", "--no-home", "--no-eval", "--pwd", "/project"),
        *("--bind", "/opt/primus:/opt/primus:ro", "--bind", "/data:/in", "--env", "A=b", "--userns", "some/image:1"),
        *("python3", "-I", "/opt/primus/node"),
    )


def test_gpus_are_asked_for_by_vendor() -> None:
    assert follows(argv(start("apptainer", NVIDIA)), "--no-eval", "--nv", "--pwd")
    assert follows(argv(start("apptainer", AMD)), "--no-eval", "--rocm", "--pwd")


def test_a_terminal_needs_no_word() -> None:
    assert argv(start("apptainer", interactive=True))[-2:] == ("some/image:1", "bash")


def test_a_sif_file_has_an_id(tmp_path: Path) -> None:
    made = uuid.uuid4()
    file = tmp_path / "image.sif"
    file.write_bytes(b"#!/usr/bin/env run-singularity\n\0" + b"SIF_MAGIC\0" + b"01\0" + b"02\0" + made.bytes + b"rest")
    assert digest(str(file)) == f"sif:{made}"
    file.write_bytes(b"something else")
    assert digest(str(file)) is None
    assert digest("docker://some/image") is None


def test_there_is_nothing_to_fetch_before_and_nothing_to_remove_after() -> None:
    assert (pull("x"), endings("x", 1.0)) == (None, [])
