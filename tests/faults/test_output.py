"""What becomes of a job whose output is too much, or has nowhere to go."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import PATIENCE, Rank
from ..terminal import primus_at_a_terminal
from .conftest import OFF, Marked, RunDirectory, soon

FAILS = "import sys; print('a line'); sys.exit(3)"
MEMORY = """
import os, sys
def peaks(pid):
    while pid > 1:
        with open(f"/proc/{pid}/status") as file:
            told = dict(line.split(":", 1) for line in file)
        yield int(told["VmHWM"].split()[0])
        pid = int(told["PPid"])
        if pid == int(os.environ["TOP"]):
            return
"""


def status(run: Path) -> str:
    return str(json.loads((run / "result.json").read_text())["status"])


def shell(line: str, words: tuple[str, ...], **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """Run `line` by bash, `"$@"` in it being the command; its output is whatever the line does not redirect."""
    argv = ["bash", "-c", line, "bash", sys.executable, "-m", "primus", *words]
    path = str(Path(__file__).parents[2])
    return subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": path, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        '"$@" 2>&-',
        '"$@" <&- >&- 2>&-',
        '"$@" >/dev/full',
        '"$@" 2>/dev/full',
        '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
        '"$@" | head -1; exit ${PIPESTATUS[0]}',
    ],
)
def test_the_exit_code_is_that_of_the_job_wherever_the_output_goes(
    rank: Rank, run_directory: RunDirectory, line: str
) -> None:
    said = shell(line, (*rank(FAILS), OFF))
    assert said.returncode == 1
    assert b"Traceback" not in said.stderr
    assert b"BrokenPipe" not in said.stderr
    assert status(run_directory()) == "FAILED"
    assert "a line\n" in (run_directory() / "logs/node-0/rank-0.log").read_text()


def test_a_terminal_without_the_letters_of_an_output_gets_their_numbers(
    rank: Rank, run_directory: RunDirectory
) -> None:
    said = shell('"$@"', (*rank("import os; os.write(1, 'näive → 1\\n'.encode())"), OFF), PYTHONIOENCODING="ascii")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(b"n\\xe4ive \\u2192 1\n")
    assert status(run_directory()) == "FINISHED"


def test_half_a_character_in_a_run_is_shown_by_its_number(rank: Rank, run_directory: RunDirectory) -> None:
    shell('"$@"', (*rank(FAILS), OFF))
    result = json.loads((run_directory() / "result.json").read_text())
    (run_directory() / "result.json").write_text(json.dumps(result | {"message": "\ud800"}))
    said = shell('"$@"', ("task=status", f"run={run_directory()}", OFF), LC_ALL="C")
    assert (said.returncode, said.stderr) == (0, b"")
    assert b"\nwhy     \\ud800\n" in said.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_failed_is_said_before_the_closing_lines(rank: Rank, work: Path, unbuffered: str) -> None:
    said = shell('"$@" 2>&1', (*rank(FAILS), OFF), PYTHONUNBUFFERED=unbuffered).stdout.decode()
    assert 0 < said.index("failed first") < said.index("its whole log") < said.index("\nrun  ")


def test_a_listing_into_a_pipe_that_is_closed_ends_without_a_word() -> None:
    said = shell('"$@" | true; exit ${PIPESTATUS[0]}', ("--help",))
    assert (said.returncode, said.stderr) == (0, b"")


def test_a_job_is_done_and_told_so_while_nobody_reads_its_console(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    """A terminal that was stopped with Ctrl-S, a pager, a connection that hangs."""
    text = "import os\nfor i in range(80000): os.write(1, b'x' * 999 + b'\\n')"
    process = marked(*rank(text), OFF)
    soon(lambda: (run_directory() / "result.json").exists())
    assert process.poll() is None, "it waits to say its last words"
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert status(run_directory()) == "FINISHED"
    assert (run_directory() / "logs/node-0/rank-0.log").read_text().count("\n") == 80000
    missing = sum(int(n) for n in re.findall(r"primus: (\d+) lines are not shown", out))
    assert missing
    assert out.count("x\n") < 80000
    assert f"run     {run_directory().relative_to(Path.cwd())}  (finished)" in out


def test_signals_reach_a_job_whose_console_nobody_reads(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    text = "import os, time\nfor i in range(3000): os.write(1, b'x' * 999 + b'\\n')\n"
    text += "open('told', 'w').close()\ntime.sleep(600)"
    process = marked(*rank(text), OFF)
    soon(Path("told").exists)
    process.send_signal(signal.SIGTERM)
    soon(lambda: (run_directory() / "result.json").exists())
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert status(run_directory()) == "KILLED"


@pytest.mark.parametrize(
    "prints",
    [
        "for i in range(1_000_000): sys.stdout.write(f'line {i}\\n')\nsys.stdout.flush()",
        "for i in range(60): os.write(1, b'x' * (1 << 20))",
        "noise = os.urandom(1 << 20)\nfor i in range(20): os.write(1, noise)",
    ],
    ids=["a million lines", "a line of 60 MB", "20 MB that are no text"],
)
def test_memory_stays_low_whatever_a_rank_prints(
    marked: Marked, rank: Rank, run_directory: RunDirectory, prints: str
) -> None:
    told = "with open('peaks', 'w') as file: print(*peaks(os.getppid()), file=file)"
    top = f"import os\nos.environ['TOP'] = '{os.getpid()}'\n"
    process = marked(*rank(top + MEMORY + prints + "\n" + told), OFF)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    peaks = [int(peak) for peak in Path("peaks").read_text().split()]
    assert len(peaks) == 3, "of the agent, its guard and the launcher"
    assert max(peaks) < 200_000, "kilobytes"
    assert status(run_directory()) == "FINISHED"


def test_a_line_of_ten_megabytes_is_whole_in_the_log_and_in_pieces_on_the_console(
    marked: Marked, rank: Rank, run_directory: RunDirectory
) -> None:
    text = "import os, time\nos.write(1, b'before\\n' + b'x' * 10_000_000 + b'\\nafter\\n')\n"
    text += "while not os.path.exists('read'): time.sleep(0.01)"  # at its end an agent waits a second for who reads
    process = marked(*rank(text), OFF)
    out = ""
    for line in process.stdout:
        out += line
        if line == "after\n":
            break
    Path("read").touch()
    process.communicate(timeout=PATIENCE)
    (line,) = [line for line in (run_directory() / "logs/node-0/rank-0.log").read_text().split("\n") if "x" in line]
    assert line.count("x") == 10_000_000
    shown = out[out.index("before\n") + 7 : out.index("after\n")]
    assert shown.count("x") == 10_000_000
    assert max(map(len, shown.split("\n"))) <= 2 << 20


def test_a_terminal_that_is_gone_ends_the_job_in_good_order(rank: Rank, run_directory: RunDirectory) -> None:
    with primus_at_a_terminal(*rank("import time; print('begun', flush=True); time.sleep(600)"), OFF) as terminal:
        terminal.until("begun")
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE) == 130
    assert status(run_directory()) == "KILLED"


def test_under_nohup_a_job_outlives_its_terminal(rank: Rank, work: Path, run_directory: RunDirectory) -> None:
    text = "import os, time; print('begun', flush=True)\nwhile not os.path.exists('go on'): time.sleep(0.01)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with primus_at_a_terminal(*rank(text), OFF) as terminal:
            signal.signal(signal.SIGHUP, before)
            terminal.until("begun")
            terminal.hang_up()
            terminal.process.send_signal(signal.SIGHUP)
            (work / "go on").touch()
            assert terminal.process.wait(PATIENCE) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert status(run_directory()) == "FINISHED"
