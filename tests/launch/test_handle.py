"""Where a run is, and how it is named."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from primus.launch import handle
from primus.launch.problems import BadRequest
from primus.node import process, rundir

from .record.run_directories import make_run

RUN = "20261121-093012-4f2a9c"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs, the second one Slurm's, and a sweep that is an array."""
    root = tmp_path / "outputs"
    make_run(root / "default" / RUN)
    make_run(root / "default/20261121-093013-000000")
    handle.write(root / "default/20261121-093013-000000", handle.ours("slurm", "17"))
    for n in "01":
        make_run(root / "default/20261121-093014-000000" / n, sweep="20261121-093014-000000")
    rundir.write_json(root / "default/20261121-093014-000000/sweep.json", {"id": "x", "jobs": []})
    handle.write(root / "default/20261121-093014-000000", handle.ours("slurm", "18"))
    rundir.write_json(root / "default" / RUN / "record.json", {"run_id": "a" * 32})
    (root / ".code/tree").mkdir(parents=True)
    rundir.write_text(root / ".code/tree/plan.json", "{}")
    return root


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (RUN, RUN),
        ("a" * 32, RUN),
        ("17", "20261121-093013-000000"),
        ("18", "20261121-093014-000000"),
        ("18_1", "20261121-093014-000000/1"),
        ("20261121-093014-000000", "20261121-093014-000000"),
        ("20261121-093014-000000/0", "20261121-093014-000000/0"),
    ],
)
def test_a_run_is_found_by_run_id_mlflow_run_id_and_slurm_job_id(root: Path, word: str, found: str) -> None:
    assert handle.find(word, root, None) == root / "default" / found


def test_a_run_is_found_by_its_directory(root: Path) -> None:
    assert handle.find(str(root / "default" / RUN), Path("elsewhere"), None) == root / "default" / RUN


@pytest.mark.parametrize("word", ["19", "18_7", "20261121-093014-000000/9", "20991231-000000-000000", ".code/tree"])
def test_a_run_that_is_not_there_is_said_with_where_it_was_looked_for(root: Path, word: str) -> None:
    with pytest.raises(BadRequest, match=rf"run={word}: no run .* under {root}/"):
        handle.find(word, root, None, offline=True)


def test_a_folder_that_is_no_run_is_said_so(root: Path) -> None:
    with pytest.raises(BadRequest, match=r"that folder is no run: it has no plan\.json"):
        handle.find(str(root), root, None)


def test_of_two_runs_with_one_job_id_the_newer_counts(root: Path) -> None:
    """A cluster that was set up anew begins at 1 again."""
    handle.write(root / "default" / RUN, handle.ours("slurm", "17"))
    assert handle.find("17", root, None).name == "20261121-093013-000000"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ours = handle.ours("direct")
    handle.write(tmp_path, ours)
    assert handle.of(tmp_path) == replace(ours, inode=tmp_path.stat().st_ino)
    assert (ours.runtime, ours.pid, ours.job) == ("direct", os.getpid(), None)


def test_a_file_that_is_none_of_ours_is_no_handle(tmp_path: Path) -> None:
    (tmp_path / "handle.json").write_text('{"pid": "x"}')
    assert handle.of(tmp_path) is None


def test_a_job_of_a_sweep_has_the_handle_of_the_sweep(root: Path) -> None:
    owner = handle.of(root / "default/20261121-093014-000000/1")
    assert owner
    assert (owner.job_id, owner.array_index, owner.job) == ("18", 1, "18_1")


def test_a_job_shares_its_element_where_others_come_before_it(tmp_path: Path) -> None:
    alone, second = handle.ours("slurm", "18", 7), replace(handle.ours("slurm", "18", 1), behind=True)
    assert not alone.shares(tmp_path / "7")
    assert not replace(second, behind=False).shares(tmp_path / "10")
    assert second.shares(tmp_path / "11")
    assert second.shares(tmp_path / "1")


def test_a_process_is_not_taken_for_another_with_its_number() -> None:
    ours = handle.ours("direct")
    assert ours.alive()
    assert ours.started
    assert not replace(ours, started=ours.started - 1).alive()
    assert not replace(ours, started=None).alive()
    assert replace(ours, host="another").alive() is None


def test_a_process_that_ended_and_was_not_reaped_does_not_live() -> None:
    pid = process.fork(lambda: 0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert process.began(pid) is None
    os.waitpid(pid, 0)
    assert process.began(pid) is None
