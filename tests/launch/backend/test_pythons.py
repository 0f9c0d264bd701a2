"""The Python that an environment is made with: looked for, and asked."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from primus.launch import place
from primus.launch.backend import pythons
from primus.launch.backend.settings import Settings, Setup
from primus.launch.place import Place
from primus.launch.problems import BadRequest, Unfit

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine whose home is empty and whose PATH is one folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return dataclasses.replace(place.here("cpu"), directory=tmp_path, environ={"PATH": str(tmp_path / "bin")})


def settings(needed: str = OWN, interpreter: str | None = None) -> Settings:
    setup = Setup(python=needed, interpreter=interpreter, directory=None, requirements=(), no_dependencies=())
    return Settings(name="titan", python=None, path=None, args={}, environment={}, setup=setup)


def program(path: Path, content: str = "\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def test_primuss_own_is_taken_where_its_version_fits(here: Place) -> None:
    assert pythons.find(settings(f">={OWN}"), here) == here.python


def test_pythons_are_found_on_path_of_pyenv_and_of_uv_the_newest_first(here: Place, tmp_path: Path) -> None:
    home = tmp_path / "home"
    expected = [
        program(tmp_path / "bin/python3.29"),
        program(home / ".pyenv/versions/3.29.7/bin/python3.29"),
        program(home / ".pyenv/versions/3.29.1/bin/python3.29"),
        program(home / ".local/share/uv/python/cpython-3.29.2-linux-x86_64-gnu/bin/python3.29"),
        program(tmp_path / "bin/python3.28"),
    ]
    program(tmp_path / "bin/python3.27")
    assert [*pythons.candidates(">=3.28", here)] == expected


def test_what_cannot_be_run_a_shim_and_a_second_name_are_passed_over(here: Place, tmp_path: Path) -> None:
    program(tmp_path / "bin/python3.29", "#!/bin/sh\nexec pyenv exec\n")
    program(tmp_path / "bin/python3.28").chmod(0o644)
    real = program(tmp_path / "home/.pyenv/versions/3.28.0/bin/python3.28")
    other = tmp_path / "home/.pyenv/versions/3.28.0-copy"
    other.symlink_to(real.parents[1])
    assert len([*pythons.candidates(">=3.28", here)]) == 1


def test_one_that_is_not_what_its_name_says_is_passed_over(here: Place, tmp_path: Path) -> None:
    false = tmp_path / "bin/python3.28"
    false.parent.mkdir()
    false.symlink_to(os.path.realpath(sys.executable))
    with pytest.raises(Unfit, match=r"needs Python 3.28, .* \(.*/bin/python3.28: is not it, or lacks"):
        pythons.find(settings("3.28"), here)


def test_where_there_is_none_it_is_said_how_to_get_one(here: Place) -> None:
    for asked in (pythons.find, pythons.expected):
        with pytest.raises(Unfit) as unfit:
            asked(settings("3.29"), here)
        assert str(unfit.value) == (
            "backend=titan needs Python 3.29, and there is none on PATH, in /usr/local/bin, of pyenv or of uv. Install "
            "one (uv python install, pyenv install, or apt install pythonX.Y pythonX.Y-venv), or name it: "
            "backend.setup.interpreter=/path/to/python"
        )


def test_the_users_own_is_taken_and_nothing_else_looked_for(here: Place) -> None:
    assert pythons.find(settings(interpreter=sys.executable), here) == sys.executable
    assert pythons.expected(settings("3.99", interpreter="/any/python"), here) == "/any/python"


@pytest.mark.parametrize(
    ("interpreter", "needed", "said"),
    [
        ("/no/python", OWN, "/no/python is no Python with the modules venv and ensurepip"),
        ("/bin/true", OWN, "/bin/true is no Python with the modules venv and ensurepip"),
        (sys.executable, "3.99", f"{sys.executable} is Python {OWN}, 3.99 is needed"),
    ],
)
def test_an_own_one_that_does_not_serve_is_a_wrong_request(
    here: Place, interpreter: str, needed: str, said: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        pythons.find(settings(needed, interpreter), here)
    assert str(refused.value) == f"backend.setup.interpreter: {said}"
