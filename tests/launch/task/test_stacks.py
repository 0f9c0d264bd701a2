"""What the ranks of a run are in, asked from another shell."""

from pathlib import Path

from ...conftest import Primus, Rank, Start
from .waiting import begin

OFF = "tracking.enabled=false"


def test_every_rank_says_what_it_is_in_and_goes_on(start: Start, rank: Rank, work: Path, primus: Primus) -> None:
    launcher, run, _ = begin(start, rank, work)
    said = primus("task=stacks", f"run={run.name}")
    assert (said.code, said.err) == (0, "")
    *ranks, where = said.out.splitlines()
    assert [line.split(" (process ")[0] for line in ranks] == [f"rank {n}" for n in range(len(ranks))]
    assert all(") is in <module> (rank.py:" in line for line in ranks)
    assert where == f"stacks  outputs/default/{run.name}/stacks/node-0.txt"
    assert f"  <module> ({work}/rank.py:" in (run / "logs/node-0/rank-0.log").read_text()
    assert primus("task=stacks", f"run={run.name}").code == 0  # each question is a new one
    (work / "go").touch()
    assert launcher.wait() == 0


def test_a_run_that_is_over_has_none(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank(""), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=stacks", f"run={run.name}")
    assert (said.code, said.out) == (2, "")
    assert f"{run.name} does not run, so no rank of it is in anything: it is FINISHED" in said.err
    assert primus("task=stacks", f"run={run}", "dry_run=true").code == 0
