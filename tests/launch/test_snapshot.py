"""The source that a run started from can be had again: commit, and what was changed on top of it."""

import json
from pathlib import Path

import pytest

from primus.launch import place, run, snapshot

from .test_place import checkout, git

__all__ = ["checkout"]  # the fixture


def taken(checkout: Path, directory: Path) -> dict[str, object]:
    snapshot.take(place.code(checkout), directory)
    told: dict[str, object] = json.loads((directory / snapshot.REVISION).read_text())
    return told


def test_a_clean_checkout_is_its_commit(checkout: Path, tmp_path: Path) -> None:
    told = taken(checkout, tmp_path / "run")
    assert told == {
        "directory": str(checkout),
        "commit": git(checkout, "rev-parse", "HEAD"),
        "dirty": False,
        "untracked": [],
    }
    assert not (tmp_path / "run" / snapshot.CHANGES).exists()


def test_a_job_goes_on_where_it_cannot_be_written(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "code").write_text("in its way")
    run._snapshot(place.code(checkout), tmp_path)
    assert (
        "WARN  launch | the changes on top of the git commit are not kept: "
        in (tmp_path / "logs/launch.log").read_text()
    )


def test_what_was_changed_can_be_applied_again(checkout: Path, tmp_path: Path) -> None:
    (checkout / "inside/file").write_bytes(b"changed \x00\xff\n")
    (checkout / "new").write_text("x")
    told = taken(checkout, tmp_path / "run")
    assert (told["dirty"], told["untracked"]) == (True, ["new"])
    git(checkout, "checkout", "-q", "inside/file")
    git(checkout, "apply", str(tmp_path / "run" / snapshot.CHANGES))
    assert (checkout / "inside/file").read_bytes() == b"changed \x00\xff\n"


def test_a_secret_in_a_change_is_masked(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    (checkout / "inside/file").write_text("token = 'hf_abcdefgh'")
    taken(checkout, tmp_path / "run")
    assert "token = '***'" in (tmp_path / "run" / snapshot.CHANGES).read_text()


def test_outside_of_git_nothing_is_written(tmp_path: Path) -> None:
    snapshot.take(place.code(tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()
