"""One job from plan to record, by the real command with real ranks."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus.launch.run import Lines, NewestMetrics
from primus.node import host

from ..conftest import PATIENCE, PATIENT, Primus, Rank, Start, command_lines, gone

OFF = "tracking.enabled=false"


@pytest.fixture
def last_run(work: Path) -> Callable[[], Path]:
    """The directory of the one run there is."""

    def find() -> Path:
        (directory,) = (work / "outputs/default").iterdir()
        return directory

    return find


LastRun = Callable[[], Path]


def result(run: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((run / "result.json").read_text())
    return told


def test_a_job_that_ends_well_leaves_all_its_files(primus: Primus, rank: Rank, last_run: LastRun) -> None:
    said = primus(*rank("print('hello')"), OFF)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("hello\n")
    run = last_run()
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert {
        *("plan.json", "config.yaml", "overrides.yaml", "result.json", "nodes/0.json"),
        *("logs/launch.log", "logs/node-0/agent.log", "logs/node-0/rank-0.log"),
    } <= files
    assert not [name for name in files if Path(name).name.startswith(".")]
    assert (result(run)["status"], result(run)["exit_code"]) == ("FINISHED", 0)


def test_the_last_lines_say_where_it_is_its_loss_its_report_how_to_browse_and_how_to_replay(
    primus: Primus, rank: Rank, last_run: LastRun
) -> None:
    text = """
import json, os
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    for step in (1, 2):
        file.write(json.dumps({"time": 1.0, "step": step, "loss": 3.0 / step}) + "\\n")
"""
    said = primus(*rank(text), OFF)
    where = last_run().relative_to(Path.cwd())
    assert said.out.splitlines()[-5:] == [
        f"run     {where}  (finished)",
        "loss    1.5000 at step 2",
        f"report  {where}/report.html",
        "browse  nothing recorded in MLflow (tracking.enabled=false)",
        f"replay  primus replay={where}",
    ]


def test_a_failing_rank_is_named_with_its_traceback_and_its_log(primus: Primus, rank: Rank, last_run: LastRun) -> None:
    text = "import os, time\nif os.environ['RANK'] == '0': time.sleep(600)\nraise RuntimeError('no luck')"
    said = primus(*rank(text), OFF, "ranks_per_node=2", "console.ranks=none")
    assert said.code == 1
    log = last_run().relative_to(Path.cwd()) / "logs/node-0/rank-1.log"
    lines = said.err.splitlines()
    assert lines[0] == "primus: rank 1 on node 0 failed first: it ended with exit code 1."
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-3] == "  RuntimeError: no luck"
    assert lines[-2].startswith("primus: most likely: unknown: no known failure matches")
    assert lines[-1] == f"primus: its whole log: {log} (of host {host.name()})"
    assert log.is_file()
    assert result(last_run())["root_cause"]["rank"] == 1


def test_a_rank_that_a_signal_killed_is_told_so(primus: Primus, rank: Rank) -> None:
    said = primus(*rank("import os; os.kill(os.getpid(), 11)"), OFF)
    assert said.code == 1
    assert "rank 0 on node 0 failed first: it was killed by SIGSEGV" in said.err


@pytest.mark.parametrize(
    ("choice", "shown"), [("0", ["0"]), ("1", ["1"]), ("all", ["0", "1", "2"]), ("0,2", ["0", "2"]), ("none", [])]
)
def test_the_console_shows_the_ranks_that_were_chosen(
    primus: Primus, rank: Rank, last_run: LastRun, choice: str, shown: list[str]
) -> None:
    said = primus(
        *rank("import os; print('i am', os.environ['RANK'])"), OFF, "ranks_per_node=3", f"console.ranks={choice}"
    )
    assert sorted(line[-1] for line in said.out.splitlines() if "i am" in line) == shown
    assert len([*(last_run() / "logs/node-0").glob("rank-*.log")]) == 3


HEX = "import os; print('VALUES', *(os.environb[f'V{i}'.encode()].hex() or '-' for i in range(int(os.environ['N']))))"
VALUES = [
    "",
    " a  b ",
    "'\"`$HOME ${HOME} $(id)",
    "a,b;c|d&e",
    "\\",
    "x\\",
    "two\nlines",
    "ü你🚀\x01\x7f",
    "{primus.x}",
    "???",
]


def received(out: str) -> list[bytes]:
    words = next(line for line in out.splitlines() if line.startswith("VALUES")).split()[1:]
    return [bytes.fromhex(word.strip("-")) for word in words]


def test_a_variable_reaches_the_rank_byte_for_byte(primus: Primus, rank: Rank) -> None:
    typed = [f"env.set.V{i}={value}" for i, value in enumerate(VALUES)]
    said = primus(*rank(HEX), OFF, f"env.set.N={len(VALUES)}", *typed)
    assert said.code == 0, said.err
    assert received(said.out) == [value.encode() for value in VALUES]


def test_a_replay_gives_the_rank_the_same_bytes(primus: Primus, rank: Rank, last_run: LastRun) -> None:
    typed = [f"env.set.V{i}={value}" for i, value in enumerate(VALUES)]
    assert primus(*rank(HEX), OFF, f"env.set.N={len(VALUES)}", *typed).code == 0
    said = primus(f"replay={last_run()}")
    assert said.code == 0, said.err
    assert received(said.out) == [value.encode() for value in VALUES]


def test_a_variable_of_the_shell_wins_only_where_it_is_forwarded(
    primus: Primus, rank: Rank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCCL_DEBUG", "SHELL")
    text = "import os; print('VALUE', os.environ['NCCL_DEBUG'])"
    profile = "+gpu.environment.NCCL_DEBUG=PROFILE"
    for words, value in (
        ((), "SHELL"),
        ((profile,), "PROFILE"),
        ((profile, "env.forward=[NCCL_*]"), "SHELL"),
        ((profile, "env.forward=[NCCL_*]", "env.set.NCCL_DEBUG=USER"), "USER"),
    ):
        assert f"VALUE {value}\n" in primus(*rank(text), OFF, *words).out


def test_a_secret_reaches_the_rank_and_no_file(primus: Primus, rank: Rank, last_run: LastRun) -> None:
    text = "import os; print(len(os.environ['HF_TOKEN']), os.environ['HF_TOKEN'], len(os.environ['DB']))"
    said = primus(*rank(text), OFF, "env.set.HF_TOKEN=hf_abcdefgh", "env.set.DB=postgres://me:pass@host/db")
    assert said.code == 0
    assert "11 *** 26\n" in said.out
    everything = "".join(file.read_text() for file in last_run().rglob("*") if file.is_file())
    assert "hf_abcdefgh" not in everything + said.out
    assert "pass@" not in everything + said.out


WAITS = """
import os, time
with open(f"pid-{os.environ['RANK']}.part", "w") as file:
    file.write(str(os.getpid()))
os.rename(f"pid-{os.environ['RANK']}.part", f"pid-{os.environ['RANK']}")
print("waiting", flush=True)
time.sleep(600)
"""


def until_it_waits(process: Any, work: Path) -> list[int]:
    """Wait for the first line of rank 0, and for every rank to have started; their ids."""
    import time

    assert process.stdout.readline() == "waiting\n"
    until = time.monotonic() + PATIENCE
    while not (work / "pid-1").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    return [int((work / f"pid-{i}").read_text()) for i in (0, 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_job_that_is_interrupted_ends_its_ranks_and_is_recorded_as_killed(
    start: Start, rank: Rank, work: Path, last_run: LastRun, number: signal.Signals
) -> None:
    process = start(*rank(WAITS), OFF, "ranks_per_node=2")
    pids = until_it_waits(process, work)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert all(gone(pid) for pid in pids)
    assert "Traceback" not in err
    assert "(killed)" in out
    told = result(last_run())
    assert (told["status"], told["exit_code"], told["message"]) == ("KILLED", 130, "interrupted")


def test_a_second_interrupt_does_not_wait_for_a_rank_that_will_not_end(start: Start, rank: Rank, work: Path) -> None:
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)"
    )
    process = start(*rank(stubborn + WAITS), OFF, "ranks_per_node=2", "node.grace_period=500")
    pids = until_it_waits(process, work)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    process.stderr.readline()
    assert "once more to end it at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert all(gone(pid) for pid in pids)


def test_a_launcher_that_is_killed_takes_its_ranks_with_it(start: Start, rank: Rank, work: Path) -> None:
    process = start(*rank(WAITS), OFF, "ranks_per_node=2")
    pids = until_it_waits(process, work)
    process.kill()
    process.communicate()
    assert all(gone(pid) for pid in pids)


@pytest.mark.mlflow
@pytest.mark.slow
def test_the_run_of_a_launcher_that_was_killed_ends_as_killed(
    start: Start, rank: Rank, work: Path, last_run: LastRun
) -> None:
    process = start(*rank(WAITS), PATIENT, "ranks_per_node=2")
    pids = until_it_waits(process, work)
    recorder = _child(process.pid, "primus.launch.record")
    process.kill()
    process.communicate()
    assert all(gone(pid) for pid in pids)
    assert gone(recorder)
    told = result(last_run())
    assert (told["status"], told["message"]) == ("KILLED", "the launcher was killed")
    assert json.loads((last_run() / "record.json").read_text())["complete"]


def _child(pid: int, word: str) -> int:
    """The child of a process with this word on its command line, once it is there."""
    import time

    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        lines = command_lines()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if word.encode() in lines.get(int(child), ()):
                return int(child)
        time.sleep(0.01)
    raise AssertionError(f"no child with {word}")


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_run_is_recorded_and_found_again_by_its_mlflow_id(
    primus: Primus, rank: Rank, work: Path, last_run: LastRun
) -> None:
    said = primus(*rank("print('hello')"), PATIENT)
    assert said.code == 0, said.err
    assert f"browse  mlflow ui --backend-store-uri sqlite:///{work}/outputs/mlflow.db" in said.out
    record = json.loads((last_run() / "record.json").read_text())
    assert record["complete"]
    again = primus(f"replay={record['run_id']}", OFF)
    assert again.code == 0
    assert "hello\n" in again.out


def test_a_job_goes_on_without_a_reader_of_its_output(start: Start, rank: Rank, last_run: LastRun) -> None:
    """`primus | head -1`"""
    text = "import sys\nfor i in range(20000): print('line', i, flush=i == 0)"
    process = start(*rank(text), OFF)
    assert process.stdout
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=PATIENCE)
    assert result(last_run())["status"] == "FINISHED"
    assert (last_run() / "logs/node-0/rank-0.log").read_text().count("\n") == 20000


def test_a_run_directory_that_cannot_be_finished_is_taken_away_again(
    primus: Primus, rank: Rank, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from primus.node import rundir

    write = rundir.write_text

    def disk_is_full(path: Path, text: str) -> None:
        if path.name == rundir.PLAN:
            raise OSError(28, os.strerror(28))
        write(path, text)

    monkeypatch.setattr(rundir, "write_text", disk_is_full)
    said = primus(*rank(""), OFF)
    assert said.code == 2
    assert said.err.endswith(": No space left on device\n")
    assert not [path for path in (work / "outputs").rglob("*") if path.is_file()]


# The pieces.


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=6), max_size=8))
def test_whole_lines_come_out_however_the_bytes_come_in(pieces: list[bytes]) -> None:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)] + [*lines.rest()]
    expected = b"".join(pieces).decode("utf-8", "replace").split("\n")
    assert [line.rstrip("\r") for line in found] == [
        e.rstrip("\r") for e in (expected if expected[-1] else expected[:-1])
    ]


def test_the_newest_metrics_are_those_of_the_last_whole_line(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    file = tmp_path / "metrics/rank-0.jsonl"
    metrics = NewestMetrics(tmp_path)
    assert metrics.read() is None
    file.write_text('{"step": 1}\n{"step": 2}\n{"step"')
    assert metrics.read() == {"step": 2}
    assert metrics.read() is None
    with file.open("a") as more:
        more.write(": 3}\n")
    assert metrics.read() == {"step": 3}
    with file.open("a") as more:
        more.write("broken\n")
    assert metrics.read() is None
