"""The ranks' interpreter and the container's engine, where they do not answer."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node.checks import software
from primus.node.checks.finding import Finding, Settings

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A shell script of this name and text, on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
        return tmp_path / name

    return write


def settings(python: Path | None = None, engine: str | None = None) -> Settings:
    chosen = str(python) if python else None
    return Settings("r", 60.0, ("software",), "cpu", None, (), (), 0.0, 0, chosen, (), False, engine)


def engine(name: str) -> Finding:
    (found,) = software.check(settings(engine=name), None, "")[0].findings
    return found


def test_an_interpreter_that_does_not_answer_is_told_from_one_that_fails(program: Program, tmp_path: Path) -> None:
    began = time.monotonic()
    probe = software.Probe(settings(program("hangs", "exec sleep 60")), str(tmp_path))
    told, why = probe.finish(0.5)
    assert (told, why) == (None, f"no answer in {time.monotonic() - began:.0f} s: it said nothing")
    probe = software.Probe(settings(program("fails", "echo out of luck >&2; exit 3")), str(tmp_path))
    assert probe.finish(10.0) == (None, "exit code 3: out of luck")


def test_an_engine_says_its_version_or_that_it_cannot(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "_PATIENCE", 0.5)
    program("podman", "echo podman version 5.0")
    assert (engine("podman").level, engine("podman").seen) == ("info", "podman version 5.0")
    program("podman", "exec sleep 60")
    assert (engine("podman").level, engine("podman").expected) == ("warn", "its version")
    monkeypatch.setenv("PATH", "/nowhere")
    assert (engine("podman").level, engine("podman").seen) == ("info", "podman, not seen from inside")
