"""Which paths a container sees."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from primus.node.container.mounts import by_name, of_plan, problems
from primus.node.plan import Code, Container, Mount, Plan, from_json

from ..conftest import Run


@pytest.fixture
def plan(make: Callable[..., Run]) -> Plan:
    run = make(container=Container("docker", "i"))
    return from_json(run.text("plan.json"))


def seen(plan: Plan) -> list[tuple[str, bool]]:
    assert all(mount.source == mount.target for mount in of_plan(plan, "/opt/primus"))
    return [(mount.target, mount.read_only) for mount in of_plan(plan, "/opt/primus")]


def test_primus_the_tree_and_the_plan_are_read_only_the_run_is_not(plan: Plan, tmp_path: Path) -> None:
    assert seen(plan) == [
        ("/opt/primus", True),
        (str(tmp_path), True),
        (plan.directory, False),
        (f"{plan.directory}/plan.json", True),
    ]


def test_a_working_directory_outside_the_tree_is_mounted_too(plan: Plan) -> None:
    plan = replace(plan, job=replace(plan.job, directory="/project/sub"), code=Code("/project", None))
    assert [path for path, _ in seen(plan)][:2] == ["/opt/primus", "/project"]
    plan = replace(plan, job=replace(plan.job, directory="/elsewhere"))
    assert [path for path, _ in seen(plan)][:3] == ["/opt/primus", "/project", "/elsewhere"]


def test_a_link_inside_the_run_is_followed_to_what_it_leads_to(plan: Plan, tmp_path: Path) -> None:
    run = Path(plan.directory)
    (tmp_path / "frozen").mkdir()
    (run / "source").symlink_to(tmp_path / "frozen")
    plan = replace(plan, job=replace(plan.job, directory=str(run / "source")), code=Code("/project", None))
    assert [path for path, _ in seen(plan)][:3] == ["/opt/primus", "/project", str(tmp_path / "frozen")]


def test_of_a_frozen_tree_more_is_seen_than_the_folder_that_the_job_starts_in(plan: Plan, tmp_path: Path) -> None:
    run, kept = Path(plan.directory), tmp_path / ".code/tree"
    (kept / "sub").mkdir(parents=True)
    (run / "code").mkdir(exist_ok=True)
    (run / "code/source").symlink_to(kept)
    plan = replace(plan, job=replace(plan.job, directory=str(run / "code/source/sub")), code=Code("/project", None))
    assert [path for path, _ in seen(plan)][:3] == ["/opt/primus", "/project", str(kept)]


def test_a_mount_of_the_users_takes_the_place_of_ours(plan: Plan, tmp_path: Path) -> None:
    assert plan.container
    plan = replace(plan, container=replace(plan.container, mounts=(Mount(str(tmp_path), str(tmp_path)),)))
    assert [read_only for path, read_only in seen(plan) if path == str(tmp_path)] == [False]


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        (Mount("/not/there", "/not/there"), ["/not/there is not there"]),
        (Mount("/not/yet/this", "/not/yet/this"), []),
        (Mount("/etc", "/usr"), ["/usr of the node would hide the image's own: mount a folder below it"]),
        (Mount("/etc", "/a,b"), ["'/a,b' holds ',', which the engine takes for the end of a path"]),
        (Mount("/etc", "/a\nb"), ["'/a\\nb' holds '\\n', which the engine takes for the end of a path"]),
        (Mount("/etc", "/in"), []),
    ],
)
def test_what_keeps_a_path_from_being_mounted_is_said(mount: Mount, told: list[str]) -> None:
    assert problems([mount], ',"', {"/not/yet"}) == told


def test_what_to_do_about_a_folder_of_the_image_depends_on_whose_wish_it_is() -> None:
    assert by_name(Mount("/root", "/root"), ",:", "start from") == [
        "/root of the node would hide the image's own: start from a folder below it"
    ]
    assert by_name(Mount("/not/there", "/in"), ",:") == []
