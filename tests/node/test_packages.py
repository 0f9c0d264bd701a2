"""Which interpreter is asked for the packages of the ranks, and how long its answer holds for those that come after."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from primus.node import packages
from primus.node.loop import Loop
from primus.node.packages import interpreter


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("python3 x.py -S", "python3"),
        ("python3 -I -u -S x.py", "python3 -I -S"),
        ("python3 -uS -c pass", "python3 -uS"),
        ("python3 -m primus -s", "python3"),
        ("python3 -X dev -S x.py", "python3"),
    ],
)
def test_it_has_the_options_of_the_ranks_that_say_where_packages_are(command, asked):
    assert " ".join(interpreter(command.split())) == asked


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(packages, "_shared", [])
    for fd in packages.share():
        yield
        os.close(fd)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site" / "some_thing-1.2.dist-info").mkdir(parents=True)
    return tmp_path / "site"


def environ(site: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), **more}


def ask(site: Path, program: str = sys.executable) -> dict[str, Any]:
    loop, told = Loop(), list[dict[str, Any]]()
    asked = packages.ask_packages(loop, [program, "-S", "x.py"], environ(site), str(site), told.append)
    while asked and asked.running:
        loop.turn()
    loop.close()
    return told[0]


def test_an_answer_holds_for_the_next_that_asks_the_same(sharing: None, site: Path) -> None:
    assert packages.known([sys.executable, "-S", "y.py"], environ(site), str(site)) is None
    told = ask(site)
    assert told["packages"]["some-thing"] == "1.2"
    assert packages.known([sys.executable, "-S", "y.py"], environ(site, A="2"), str(site)) == told


def test_it_holds_no_more_once_a_package_came_or_went(sharing: None, site: Path) -> None:
    ask(site)
    (site / "other-2.dist-info").mkdir()
    os.utime(site, (1, 1))  # a file system may have coarse times
    assert packages.known([sys.executable, "-S", "x.py"], environ(site), str(site)) is None


@pytest.mark.parametrize(
    ("options", "more"), [((), {}), (("-S",), {"PYTHONPATH": "/elsewhere"}), (("-S",), {"PYTHONHOME": "/elsewhere"})]
)
def test_nor_for_another_question(sharing: None, site: Path, options: tuple[str, ...], more: dict[str, str]) -> None:
    ask(site)
    assert packages.known([sys.executable, *options, "x.py"], {**environ(site), **more}, str(site)) is None


def test_a_script_that_begins_some_python_is_asked_each_time(sharing: None, site: Path) -> None:
    script = site / "python3"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    assert ask(site, str(script))["packages"]
    assert packages.known([str(script), "-S", "x.py"], environ(site), str(site)) is None


def test_nothing_is_kept_where_nothing_is_shared(site: Path) -> None:
    assert shutil.which(sys.executable)
    ask(site)
    assert packages.known([sys.executable, "-S", "x.py"], environ(site), str(site)) is None
