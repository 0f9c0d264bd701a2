"""What goes into a container through its standard input."""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from primus.node.container import handover
from primus.node.plan import Container, Layer, Plan, Variable, from_json

from ..conftest import Run


@pytest.fixture
def plan(make: Callable[..., Run]) -> Plan:
    run = make(container=Container("docker", "i"))
    layer = Layer("user", (Variable("HF_TOKEN", None, "env.set"), Variable("A", "b", "env.set")))
    return replace(from_json(run.text("plan.json")), environment=(layer,))


def test_secrets_slurm_mlflow_devices_and_what_the_user_named_go_in_and_nothing_else(plan: Plan) -> None:
    assert plan.container
    plan = replace(plan, container=replace(plan.container, environment=("NCCL_*", "X=y")))
    mine = {"HF_TOKEN": "s", "SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0", "NCCL_DEBUG": "INFO", "USER": "me"}
    others = {"PATH": "/bin", "CUDA_HOME": "/usr/local/cuda", "A": "other", "X": "z", "OTHER_TOKEN": "t"}
    assert handover.environment(plan, {**mine, **others}) == mine


def test_pyxis_hands_on_all_of_the_node_s(plan: Plan) -> None:
    everything = {"HF_TOKEN": "s", "PATH": "/bin", "A": "other"}
    assert handover.environment(replace(plan, container=Container("pyxis", "i")), everything) == everything


def received(data: bytes) -> dict[str, str]:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    environ: dict[str, str] = {}
    try:
        handover.receive(reading, environ)
        return environ
    finally:
        left = os.read(reading, 100)
        os.close(reading)
        assert left in (b"", b"\x0f")


def test_what_was_handed_over_is_received_byte_for_byte(plan: Plan) -> None:
    value = os.fsdecode(b"two\nlines \xff") + "ü'\"$"
    line = handover.line(plan, {"HF_TOKEN": value}, {"engine": "docker", "digest": "sha256:1"})
    assert line.count(b"\n") == 1
    environ = received(line + b"\x0f")
    assert environ["HF_TOKEN"] == value
    assert handover.identity(environ) == {"engine": "docker", "digest": "sha256:1"}


@pytest.mark.parametrize(
    "data", [b"", b'{"environment"', b"[]\n", b"nonsense\n", json.dumps({"a": 1}).encode() + b"\n"]
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"--inside|Expecting"):
        received(data)


def test_outside_a_container_there_is_no_identity() -> None:
    assert handover.identity({}) is None
