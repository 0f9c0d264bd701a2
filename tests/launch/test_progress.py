"""A job's progress: a line on a terminal, lines now and then elsewhere."""

import os
import pty
import re
import sys

import pytest

from primus.launch import progress
from primus.launch.progress import Plain, facts

from ..conftest import PATIENCE, Rank


def test_what_is_known_is_told() -> None:
    assert facts({"loss": 2.34567, "tokens_per_second": 12345.6}) == "loss 2.3457  12,346 tokens/s"
    assert facts({"step": 1}) == ""


def test_the_first_and_the_last_step_are_shown_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Plain(3)
    for step in (1, 2, 3.0):
        plain.metrics({"step": step, "loss": 1.0})
    assert capsys.readouterr().out == "step 1/3  loss 1.0000\nstep 3/3  loss 1.0000\n"


def test_a_job_without_steps_has_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    Plain(None).metrics({"step": 1, "loss": 1.0})
    assert capsys.readouterr().out == ""


def test_a_job_that_reads_says_how_far_it_is_without_steps(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Plain(None)
    for done in (10**6, 2 * 10**6, 3 * 10**6):
        plain.metrics({"step": 1, "bytes": done, "bytes_total": 3 * 10**6, "megabytes_per_second": 4.25})
    assert capsys.readouterr().out == "1.0/3.0 MB  4.2 MB/s\n3.0/3.0 MB  4.2 MB/s\n"


def test_a_benchmark_says_how_far_it_is_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Plain(None)
    for done in (1, 2, 3):
        plain.metrics({"time": 1.0, "step": done, "of": 3})
    assert capsys.readouterr().out == "1/3\n3/3\n"


def test_lines_of_the_ranks_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Plain(3).lines(["[red]not markup[/red]"])
    assert capsys.readouterr().out == "[red]not markup[/red]\n"


def test_where_there_is_no_terminal_there_is_no_live_line() -> None:
    assert isinstance(progress.display(10), Plain)


SHOW = """
from primus.launch.progress import display
screen = display(4)
screen.lines(["[red]a rank says this[/red]"])
for step in range(1, 5):
    screen.metrics({"step": step, "loss": 4.0 / step, "tokens_per_second": 1000.0})
screen.close()
"""


@pytest.mark.parametrize("columns", [60, 120])
def test_a_terminal_has_a_line_with_step_loss_speed_and_time_left(rank: Rank, columns: int) -> None:
    """On a real pseudo-terminal."""
    shown = on_a_terminal([sys.executable, "-c", SHOW], columns)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "[red]a rank says this[/red]" in text
    last = [line for line in text.replace("\r", "\n").split("\n") if "step" in line][-1]
    assert "step 4/4" in last
    assert "loss 1.0000  1,000 tokens/s" in last
    assert len(last.rstrip()) <= columns
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor stays hidden"


SHOW_BYTES = """
from primus.launch.progress import display
screen = display(None)
screen.lines(["before"])
screen.metrics({"step": 1})
for done in (500_000, 1_500_000, 2_000_000):
    screen.metrics({"step": 1, "bytes": done, "bytes_total": 2_000_000, "megabytes_per_second": 3.5})
    screen.lines(["[red]a rank says this[/red]"])
screen.close()
"""


def test_a_terminal_has_a_line_with_megabytes_and_speed_once_they_are_known() -> None:
    shown = on_a_terminal([sys.executable, "-c", SHOW_BYTES], 120)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")
    assert text.startswith("before\n")
    assert "[red]a rank says this[/red]" in text
    last = [line for line in text.split("\n") if "MB/s" in line][-1]
    assert last.startswith("2.0/2.0 MB")
    assert "3.5 MB/s" in last
    assert "step" not in text


def on_a_terminal(argv: list[str], columns: int) -> str:
    """All that a command prints on a terminal of this width."""
    import select
    import time

    from primus.node import process

    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"}
    started = process.start(argv, env=environ, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and select.select([ours], [], [], PATIENCE)[0]:
        try:
            data = os.read(ours, 4096)
        except OSError:  # EIO: the terminal has no user any more
            break
        shown += data
    os.close(ours)
    assert started.wait(PATIENCE) == 0, shown.decode()
    return shown.decode()
