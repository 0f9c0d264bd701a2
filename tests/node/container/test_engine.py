"""What is asked of an engine about an image."""

from pathlib import Path

import pytest

from primus.node.container.engine import NoEngine, NoImage, image_file, image_of
from primus.node.plan import Container


@pytest.mark.parametrize(
    ("engine", "image", "file"),
    [
        ("apptainer", "/images/x.sif", "/images/x.sif"),
        ("apptainer", "x.sif", "x.sif"),
        ("apptainer", "docker://some/image", None),
        ("pyxis", "/images/x.sqsh", "/images/x.sqsh"),
        ("pyxis", "./x.sqsh", "./x.sqsh"),
        ("pyxis", "nvcr.io#nvidia/pytorch:25.10-py3", None),
        ("docker", "rocm/pytorch", None),
    ],
)
def test_an_image_is_a_file_or_a_name_as_its_engine_has_it(engine: str, image: str, file: str | None) -> None:
    assert image_file(Container(engine, image)) == file


def test_a_file_that_is_not_there_is_no_image() -> None:
    with pytest.raises(NoImage, match=r"^/not/there\.sif is not there$"):
        image_of(Container("apptainer", "/not/there.sif"), {})


def test_of_what_enroot_has_imported_there_is_no_digest() -> None:
    assert image_of(Container("pyxis", "some/image"), {}) == {"digest": None}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Error: inspecting object: repository name must be lowercase", NoImage),  # podman 4.3
        ("Error: inspecting object: invalid reference format", NoImage),
        ("invalid reference format: repository name (library/X) must be lowercase", NoImage),  # docker 28
        ("Cannot connect to the Docker daemon", NoEngine),
    ],
)
def test_a_name_that_no_image_can_have_is_the_images_fault(tmp_path: Path, said: str, error: type[Exception]) -> None:
    program = tmp_path / "podman"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2; exit 125\n")
    program.chmod(0o755)
    with pytest.raises(error, match=said.partition("(")[0]):
        image_of(Container("podman", "X:y"), {"PATH": str(tmp_path)})
