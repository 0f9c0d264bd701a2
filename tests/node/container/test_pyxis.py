"""What pyxis makes srun take, by its documentation (github.com/NVIDIA/pyxis/wiki/Usage): it is not run here."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from primus.node.container import pyxis
from primus.node.plan import Container, Layer, Mount, Plan, Variable, from_json

from ..conftest import Run

MOUNTS = (Mount("/opt/primus", "/opt/primus", True), Mount("/data", "/in"))


@pytest.fixture
def plan(make: Callable[..., Run]) -> Callable[..., Plan]:
    def of(**container: Any) -> Plan:
        run = make(container=Container("pyxis", "nvcr.io#nvidia/pytorch:25.10-py3", **container), directory="/project")
        return from_json(run.text("plan.json"))

    return of


def options(plan: Plan, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    return pyxis.srun_options(plan, MOUNTS, environ or {})


def test_image_mounts_and_directory_are_options_of_srun(plan: Callable[..., Plan]) -> None:
    assert options(plan()) == (
        "--container-image=nvcr.io#nvidia/pytorch:25.10-py3",
        "--container-mounts=/opt/primus:/opt/primus:ro,/data:/in",
        "--container-workdir=/project",
        "--no-container-mount-home",
        "--no-container-entrypoint",
    )


def test_what_the_user_names_of_srun_s_own_environment_wins_over_that_of_the_image(plan: Callable[..., Plan]) -> None:
    environ = {"NCCL_DEBUG": "INFO", "NCCL_ALGO": "Ring", "NCCL_X%%": "() {", "A": "other", "LANG": "C", "B": "c"}
    words = options(plan(environment=("NCCL_*", "B", "NOT_SET", "A=b"), options=("--container-writable",)), environ)
    assert "--container-env=NCCL_DEBUG,NCCL_ALGO,B" in words
    assert words[-1] == "--container-writable"


def test_a_secret_of_the_plan_wins_over_one_that_is_in_the_image(plan: Callable[..., Plan]) -> None:
    layer = Layer("user", (Variable("HF_TOKEN", None, "env.set"), Variable("A", "b", "env.set")))
    assert "--container-env=HF_TOKEN" in options(replace(plan(), environment=(layer,)))


def test_values_are_given_inside_where_the_program_is_looked_for_too(plan: Callable[..., Plan]) -> None:
    container = plan(environment=("NCCL_*", "PATH=/opt/conda/bin:/bin", "A=b c")).container
    assert container
    words = pyxis.command(container, ("python3", "-I"))
    assert words == ("/usr/bin/env", "PATH=/opt/conda/bin:/bin", "A=b c", "python3", "-I")


def test_the_agent_inside_says_which_image_it_is_in(make: Callable[..., Run]) -> None:
    run = make("", argv=[sys.executable, "-I", "-S", "-c", ""], container=Container("pyxis", "/images/x.sqsh"))
    assert run.finish().code == 0
    assert run.facts["container"] == {"engine": "pyxis", "image": "/images/x.sqsh"}
