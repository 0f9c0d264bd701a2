"""Which interpreter serves a backend, and why."""

import dataclasses
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from primus.launch import place
from primus.launch.backend.environments import Made, environment, fits
from primus.launch.backend.interpreter import choose, installed, needs
from primus.launch.backend.settings import Settings, Setup
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit
from primus.node import rundir
from primus.node.typed import plain

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return dataclasses.replace(
        place.here("cpu"), directory=tmp_path, environ={"PRIMUS_BACKENDS": str(tmp_path / "kept")}
    )


def settings(python: str | None = None, path: str | None = None, needed: str = OWN, name: str = "titan") -> Settings:
    setup = Setup(python=needed, interpreter=None, directory=None, requirements=("titan==1",), no_dependencies=())
    return Settings(name=name, python=python, path=path, args={}, environment={}, setup=setup)


def backend(*packages: str) -> ModuleType:
    module = ModuleType("backend")
    module.__dict__["PACKAGES"] = packages
    return module


def set_up(asked: Settings, here: Place, marker: bool = True) -> Path:
    """What a finished task=setup leaves, as far as a choice looks at it."""
    goal = environment(asked, here)
    goal.python.parent.mkdir(parents=True)
    goal.python.symlink_to(sys.executable)
    if marker:
        made = Made("titan", "3.12.1", sys.executable, ("titan==1",), (), ("titan==1",), 1.0, 0.0)
        rundir.write_json(goal.marker, plain(made))
    return goal.python


def test_the_users_own_wins_over_everything(here: Place) -> None:
    set_up(settings(), here)
    choice = choose(settings(python=sys.executable), backend("pytest"), here)
    assert (choice.python, choice.why, choice.problem) == (sys.executable, "backend.python", None)


@pytest.mark.parametrize("python", ["no-such-python", "/no/python", "./folder", "./file"])
def test_an_own_one_that_cannot_be_run_is_a_wrong_request(here: Place, tmp_path: Path, python: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    problem = choose(settings(python=python), backend(), here).problem
    assert isinstance(problem, BadRequest)
    assert str(problem) == f"backend.python: there is no program {python!r} that can be run"


def test_that_of_primus_serves_where_it_has_what_is_needed(here: Place) -> None:
    choice = choose(settings(), backend("pytest", "hydra-core"), here)
    assert (choice.python, choice.problem) == (here.python, None)
    assert choice.why.startswith(f"that of Primus itself, which has pytest {pytest.__version__}, hydra-core ")


@pytest.mark.parametrize(
    ("needed", "packages"),
    [("3.99", ("pytest",)), (OWN, ("pytest", "no-such-package")), (OWN, ("no-such-package",))],
    ids=["other Python", "one package", "all packages"],
)
def test_else_the_one_that_was_set_up_for_these_requirements(
    here: Place, needed: str, packages: tuple[str, ...]
) -> None:
    asked = settings(needed=needed)
    python = set_up(asked, here)
    choice = choose(asked, backend(*packages), here)
    assert (choice.python, choice.why, choice.problem) == (str(python), "made by task=setup backend=titan", None)


def test_one_without_its_marker_does_not_serve(here: Place) -> None:
    set_up(settings(needed="3.99"), here, marker=False)
    assert isinstance(choose(settings(needed="3.99"), backend(), here).problem, Unfit)


def test_one_whose_python_is_gone_does_not_serve(here: Place) -> None:
    set_up(settings(needed="3.99"), here).unlink()
    assert isinstance(choose(settings(needed="3.99"), backend(), here).problem, Unfit)


def test_where_none_serves_the_choice_is_the_one_to_be_made_and_the_problem_tells_how(here: Place) -> None:
    overrides = ["task.steps=3", "backend.setup.directory='a b'", "backend=titan"]
    choice = choose(settings(), backend("pytest", "no-such-package"), here, overrides)
    assert choice.python == str(environment(settings(), here).python)
    assert choice.why == "to be made by task=setup backend=titan"
    assert isinstance(choice.problem, Unfit)
    assert str(choice.problem) == (
        "backend=titan: no interpreter has no-such-package: that of Primus itself has no no-such-package, and none has "
        "been set up. Mend it with:\n  primus task=setup backend=titan 'backend.setup.directory='\"'\"'a b'\"'\"''"
    )


def test_a_checkout_stands_for_the_frameworks_own_package() -> None:
    packages = backend("torch", "megatron-core", "megatronic")
    assert needs(settings(name="megatron", path="/src/Megatron-LM"), packages) == ("torch", "megatronic")
    assert needs(settings(name="megatron"), packages) == ("torch", "megatron-core", "megatronic")


def test_what_is_installed_is_told_by_folder_names(tmp_path: Path) -> None:
    for name in ("Megatron_Core-0.19.2.dist-info", "six-1.17.0-py3.12.egg-info", "mine.egg-info", "torch", "a-b"):
        (tmp_path / name).mkdir()
    assert installed([str(tmp_path), "/no/folder", __file__]) == {"megatron-core": "0.19.2", "six": "1.17.0"}


def test_what_is_installed_here_is_what_pythons_own_metadata_say() -> None:
    from importlib.metadata import version

    found = installed(sys.path)
    assert {name: found[name] for name in ("pytest", "hydra-core")} == {
        name: version(name) for name in ("pytest", "hydra-core")
    }


@pytest.mark.parametrize(
    ("needed", "right", "wrong"),
    [
        ("3.12", [(3, 12)], [(3, 11), (3, 13), (2, 12)]),
        (">=3.11,<3.13", [(3, 11), (3, 12)], [(3, 10), (3, 13)]),
        (">3.11, <= 3.13", [(3, 12), (3, 13)], [(3, 11), (3, 14)]),
        ("==3.9", [(3, 9)], [(3, 90)]),
    ],
)
def test_versions_of_python_are_compared_as_numbers(
    needed: str, right: list[tuple[int, int]], wrong: list[tuple[int, int]]
) -> None:
    assert all(fits(version, needed) for version in right)
    assert not any(fits(version, needed) for version in wrong)


@pytest.mark.parametrize("needed", ["", "3", "3.12.1", "~=3.11", ">=3.11,", "new"])
def test_what_is_no_version_of_python_is_refused(needed: str) -> None:
    with pytest.raises(BadRequest, match=r"^backend.setup.python: .* write 3.12, or '>=3.11,<3.13'"):
        fits((3, 12), needed)


def test_environments_are_kept_where_the_user_says_else_in_the_cache(here: Place, tmp_path: Path) -> None:
    def folder(directory: str | None, **environ: str) -> Path:
        asked = dataclasses.replace(settings(), setup=dataclasses.replace(settings().setup, directory=directory))
        return environment(asked, dataclasses.replace(here, environ=environ)).directory.parent

    assert folder("/mine", PRIMUS_BACKENDS="/shared") == Path("/mine")
    assert folder("mine", PRIMUS_BACKENDS="/shared") == tmp_path / "mine"
    assert folder(None, PRIMUS_BACKENDS="/shared", XDG_CACHE_HOME="/cache") == Path("/shared")
    assert folder(None, XDG_CACHE_HOME="/cache") == Path("/cache/primus/backends")
    assert folder(None) == Path(os.path.expanduser("~/.cache/primus/backends"))


def test_other_requirements_are_another_environment_and_their_order_does_not_matter(here: Place) -> None:
    def folder(**changes: object) -> Path:
        asked = dataclasses.replace(settings().setup, **changes)  # type: ignore[arg-type]
        return environment(dataclasses.replace(settings(), setup=asked), here).directory

    same = folder(requirements=("a==1", "b==1"))
    assert folder(requirements=("b==1", "a==1")) == same
    others = [
        folder(requirements=("a==1", "b==2")),
        folder(requirements=("a==1",), no_dependencies=("b==1",)),
        folder(requirements=("a==1", "b==1"), python="3.99"),
    ]
    assert len({same, *others}) == 4
