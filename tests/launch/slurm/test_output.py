"""`runtime.output`: the job's log where the user wants it, on a real cluster."""

import getpass
from pathlib import Path

import pytest

from ...cluster.slurm import Slurm
from ...conftest import Primus, Rank
from ..sweep.test_sweep import OFF
from .following import job_of, the_run

pytestmark = pytest.mark.slurm


def test_the_log_of_a_job_is_where_the_user_asked(primus: Primus, rank: Rank, slurm: Slurm, work: Path) -> None:
    words = (*rank("print('hello')"), OFF, "runtime=slurm", "runtime.detach=true", "runtime.job_name=mine")
    said = primus(*words, "runtime.output=logs/%u/%x_%8j.log")
    assert said.code == 0, said.err
    job = job_of(work)
    log = work / f"logs/{getpass.getuser()}/mine_{job:0>8}.log"
    assert f"log     {log.relative_to(work)}\n" in said.out
    slurm.wait(job, "COMPLETED")
    assert "hello" in log.read_text()
    assert log.resolve() == the_run(work) / "logs/job.log"


def test_so_are_those_of_a_sweep(primus: Primus, rank: Rank, slurm: Slurm, work: Path) -> None:
    words = ("-m", *rank("import os; print('this is', os.environ['A'])"), OFF, "runtime=slurm", "env.set.A=5,7")
    said = primus(*words, "runtime.output=logs/%A_%a.log")
    assert said.code == 0, said.err
    logs = sorted((work / "logs").iterdir())
    assert [log.name.partition("_")[2] for log in logs] == ["0.log", "1.log"]
    assert ["this is 5" in logs[0].read_text(), "this is 7" in logs[1].read_text()] == [True, True]


def test_a_link_of_an_earlier_job_gives_way_and_a_file_of_the_users_does_not(
    primus: Primus, rank: Rank, slurm: Slurm, work: Path
) -> None:
    words = (*rank("print('hello')"), OFF, "runtime=slurm", "runtime.output=latest.log")
    (work / "latest.log").symlink_to(work / "gone")
    assert primus(*words).code == 0
    assert "hello" in (work / "latest.log").read_text()
    (work / "latest.log").unlink()
    (work / "latest.log").write_text("mine")
    said = primus(*words)
    assert said.code == 2
    assert f"runtime.output: {work}/latest.log is there, and is no link to a log" in said.err
    assert len(list((work / "outputs/default").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runtime.output=%N.log",), "runtime.output: %N of '%N.log': is known when it runs"),
        (("runtime.output=''",), "runtime.output: '' must be a path in one line of visible text"),
        (("runtime.output=a%",), "runtime.output: % of 'a%'"),
        (("-m", "env.set.A=1,2", "runtime.output=%j.log"), "each job of a sweep has a number of its own: %A_%a"),
        (("-m", "env.set.A=1,2", "runtime.output=%A.log"), "'%A.log' is one name for all jobs of the sweep"),
        (("runtime.options.output=a.log",), "runtime.options.output: Primus sets --output itself; use runtime.output"),
    ],
)
def test_names_that_cannot_be_are_refused(primus: Primus, rank: Rank, words: tuple[str, ...], said: str) -> None:
    ended = primus("runtime=slurm", *rank("print(1)"), *words, "dry_run=true")
    assert ended.code == 2
    assert said in ended.err
