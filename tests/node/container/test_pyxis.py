"""What pyxis makes srun take, by its documentation (github.com/NVIDIA/pyxis/wiki/Usage): it is not run here."""

from primus.node.container.pyxis import srun_options
from primus.node.plan import Container, Mount

MOUNTS = (Mount("/opt/primus", "/opt/primus", True), Mount("/data", "/in"))


def test_image_mounts_and_directory_are_options_of_srun() -> None:
    assert srun_options(Container("pyxis", "nvcr.io#nvidia/pytorch:25.10-py3"), MOUNTS, "/project") == (
        "--container-image=nvcr.io#nvidia/pytorch:25.10-py3",
        "--container-mounts=/opt/primus:/opt/primus:ro,/data:/in",
        "--container-workdir=/project",
        "--no-container-mount-home",
        "--no-container-entrypoint",
    )


def test_variables_that_the_image_sets_too_are_taken_from_outside_by_name() -> None:
    container = Container(
        "pyxis", "/images/x.sqsh", environment=("NCCL_DEBUG", "A=b"), options=("--container-writable",)
    )
    words = srun_options(container, MOUNTS, "/project")
    assert "--container-env=NCCL_DEBUG,A" in words
    assert words[-1] == "--container-writable"
