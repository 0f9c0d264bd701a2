"""sweep.json is what a sweep that was interrupted goes on by."""

import json
from pathlib import Path

import pytest

from primus.launch.problems import BadRequest
from primus.launch.sweep import journal
from primus.launch.sweep.journal import Journal

JOBS = (("a=1", "b=2"), ("a=2", "b=2"))


def write(experiment: Path, name: str, jobs: tuple[tuple[str, ...], ...] = JOBS, status: str | None = None) -> Path:
    (experiment / name).mkdir(parents=True)
    Journal(name, "default", jobs, status).write(experiment / name)
    return experiment / name


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for status in (None, "FAILED"):
        entry = Journal("s", "default", JOBS, status)
        entry.write(tmp_path)
        assert journal.read(tmp_path) == entry


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1, "jobs": 3}'])
def test_what_cannot_be_read_is_no_journal(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    assert journal.read(tmp_path) is None


def test_the_newest_unfinished_sweep_of_the_same_jobs_is_taken_up(tmp_path: Path) -> None:
    write(tmp_path, "20260101-000000-a")
    wanted = write(tmp_path, "20260102-000000-a", status="KILLED")
    write(tmp_path, "20260103-000000-a", status="FINISHED")
    write(tmp_path, "20260104-000000-a", (("a=3",),))
    (tmp_path / "20260105-000000-a").mkdir()
    (tmp_path / "20260105-000000-a/sweep.json").write_text("{")
    assert journal.unfinished(tmp_path, journal.same_jobs(JOBS)) == wanted


@pytest.mark.parametrize("status", [None, "FAILED", "KILLED"])
def test_a_sweep_is_unfinished_until_all_of_its_jobs_finished(tmp_path: Path, status: str | None) -> None:
    wanted = write(tmp_path, "s", status=status)
    assert journal.unfinished(tmp_path, journal.same_jobs(JOBS)) == wanted


def test_where_there_is_none_the_way_to_start_one_is_said(tmp_path: Path) -> None:
    write(tmp_path, "s", status="FINISHED")
    with pytest.raises(BadRequest, match=r"sweep\.resume: no unfinished sweep .* Leave out sweep\.resume=true"):
        journal.unfinished(tmp_path, journal.same_jobs(JOBS))


def test_how_a_sweep_is_shown_and_recorded_does_not_make_it_another() -> None:
    assert journal.same_jobs([("b=2", "a=1", "tracking.wait=3", "console.ranks=all")]) == (("a=1", "b=2"),)


def test_the_order_of_jobs_matters_their_results_lie_in_numbered_folders() -> None:
    assert journal.same_jobs(JOBS) != journal.same_jobs(JOBS[::-1])


@pytest.mark.parametrize(
    ("text", "finished"),
    [('{"status": "FINISHED"}', True), ('{"status": "FAILED"}', False), ("{", False), (None, False)],
)
def test_a_job_is_finished_when_its_result_says_so(tmp_path: Path, text: str | None, finished: bool) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert (journal.finished(tmp_path) is not None) == finished


def test_an_earlier_try_is_set_aside_and_never_lost(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "0").mkdir()
        (tmp_path / "0/log").write_text(str(i))
        journal.set_aside(tmp_path / "0")
    assert {p.name: (p / "log").read_text() for p in tmp_path.iterdir()} == {
        "0.try-1": "0",
        "0.try-2": "1",
        "0.try-3": "2",
    }


def test_a_journal_that_cannot_be_written_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(BadRequest, match=r"output\.root: cannot write .*/taken/s: "):
        Journal("s", "default", JOBS).write(tmp_path / "taken/s")


def test_the_file_is_plain(tmp_path: Path) -> None:
    Journal("s", "default", (("a=1",),), "FINISHED").write(tmp_path)
    assert json.loads((tmp_path / "sweep.json").read_text()) == {
        "id": "s",
        "experiment": "default",
        "jobs": [{"index": 0, "overrides": ["a=1"]}],
        "status": "FINISHED",
    }
