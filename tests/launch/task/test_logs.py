"""What the ranks printed, asked from another shell."""

import json
from pathlib import Path

import pytest

from ...conftest import Primus, Rank, Start
from .waiting import begin, until

OFF = "tracking.enabled=false"


@pytest.fixture
def run(primus: Primus, rank: Rank, work: Path) -> Path:
    """Three ranks, of which the last ones speak last."""
    text = "import os, time; r = os.environ['RANK']; time.sleep(0.1 * int(r)); print('i am', r)"
    assert primus(*rank(text), OFF, "ranks_per_node=3", "console.ranks=none").code == 0
    (directory,) = (work / "outputs/default").iterdir()
    return directory


def test_without_a_rank_it_is_the_first(primus: Primus, run: Path) -> None:
    said = primus("task=logs", f"run={run.name}")
    assert (said.code, said.err) == (0, "")
    assert said.out == (run / "logs/node-0/rank-0.log").read_text()


def test_one_rank_can_be_asked_for(primus: Primus, run: Path) -> None:
    assert primus("task=logs", f"run={run.name}", "rank=2").out.endswith("r2 | i am 2\n")


def test_a_rank_that_the_run_has_not_is_said(primus: Primus, run: Path) -> None:
    said = primus("task=logs", f"run={run.name}", "rank=3")
    assert (said.code, said.err) == (2, "primus: rank=3: this run has 3 ranks, 0 to 2\n")


def test_several_ranks_come_in_the_order_of_their_times(primus: Primus, rank: Rank, work: Path) -> None:
    text = """
import os, time
r = int(os.environ['RANK'])
for n in range(3):
    while not (n == r == 0 or os.path.exists(f"{n}-{r-1}" if r else f"{n-1}-1")): time.sleep(0.005)
    print(n, r, flush=True)
    log = os.environ['PRIMUS_RUN_DIR'] + f"/logs/node-0/rank-{r}.log"
    while f"| {n} {r}\\n" not in open(log).read(): time.sleep(0.005)
    time.sleep(0.02)  # a later millisecond
    open(f"{n}-{r}", "w")
"""
    assert primus(*rank(text), OFF, "ranks_per_node=2", "console.ranks=all").code == 0
    (run,) = (work / "outputs/default").iterdir()
    lines = primus("task=logs", f"run={run.name}").out.splitlines()
    assert [line[-3:] for line in lines] == ["0 0", "0 1", "1 0", "1 1", "2 0", "2 1"]


def test_following_ends_with_the_run_and_shows_all_of_it(start: Start, rank: Rank, work: Path) -> None:
    launcher, run, _ = begin(start, rank, work)
    logs = start("task=logs", f"run={run}", "follow=true", "rank=1")
    assert logs.stdout
    assert logs.stdout.readline().endswith("r1 | rank 1\n")
    (work / "go").touch()
    out, err = logs.communicate()
    assert out.endswith("r1 | going\n")
    assert (logs.returncode, err) == (0, "")
    assert launcher.wait() == 0


def test_following_goes_on_after_a_line_of_any_length(start: Start, rank: Rank, work: Path) -> None:
    text = """
import os, time
print("before", "x" * 10_000_000, "after", sep="\\n", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
"""
    launcher = start(*rank(text), OFF, "console.ranks=none")
    until(lambda: list((work / "outputs").glob("default/*/logs/node-0/rank-0.log")))
    (run,) = (work / "outputs/default").iterdir()
    logs = start("task=logs", f"run={run}", "follow=true")
    assert logs.stdout
    shown = [logs.stdout.readline().partition(" | ")[2] for _ in range(3)]
    assert [len(shown[1]), shown[0], shown[2]] == [10_000_001, "before\n", "after\n"]
    (work / "go").touch()
    assert (logs.communicate()[0], logs.returncode, launcher.wait()) == ("", 0, 0)


def test_a_last_line_that_was_cut_off_with_its_agent_is_shown(primus: Primus, run: Path) -> None:
    logs = [run / f"logs/node-0/rank-{rank}.log" for rank in (0, 1)]
    for log in logs:
        with log.open("a") as file:
            file.write("2099-12-31T00:00:00.000 INFO  host | cut o")
    plan = json.loads((run / "plan.json").read_text())
    plan["job"]["console_ranks"] = "0,1"
    (run / "plan.json").write_text(json.dumps(plan))
    lines = sorted(line for log in logs for line in log.read_text().splitlines())
    for words in ((), ("follow=true",)):
        said = primus("task=logs", f"run={run}", *words).out
        assert (sorted(said.splitlines()), said[-7:]) == (lines, " cut o\n")


def test_a_run_that_was_killed_says_so_after_its_log(primus: Primus, rank: Rank, work: Path) -> None:
    primus(*rank("print('x'); raise SystemExit(4)"), OFF)
    (run,) = (work / "outputs/default").iterdir()
    said = primus("task=logs", f"run={run}", "follow=true")
    assert said.out.endswith("r0 | x\n")
    assert said.err == "primus: the run is failed: rank 0 ended with exit code 4\n"
