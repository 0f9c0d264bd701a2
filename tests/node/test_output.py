"""What the ranks print: into their logs, on to the console, whatever it is."""

import os
import re
import time

import pytest

from primus.node import rundir
from primus.node.output import Output
from primus.node.secrets import redactor

from ..conftest import PATIENCE


def test_each_line_of_a_log_has_time_level_host_and_rank(make):
    run = make("print('step 1 loss 2.5'); import sys; print('WARNING: slow', file=sys.stderr); print('ERROR: bad')")
    run.finish()
    host = os.uname().nodename.split(".")[0]
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
    lines = run.log().splitlines()
    assert len(lines) == 3
    assert re.fullmatch(rf"{stamp} INFO  {host} r0 \| step 1 loss 2\.5", lines[0])
    assert re.fullmatch(rf"{stamp} WARN  {host} r0 \| WARNING: slow", lines[1])
    assert re.fullmatch(rf"{stamp} ERROR {host} r0 \| ERROR: bad", lines[2])


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        ("0", ["rank 0"]),
        ("1", ["rank 1"]),
        ("none", []),
        ("0,2", ["[r0] rank 0", "[r2] rank 2"]),
        ("all", ["[r0] rank 0", "[r1] rank 1", "[r2] rank 2"]),
    ],
)
def test_the_console_shows_the_ranks_that_were_chosen(make, choice, shown):
    run = make("import os; print('rank', os.environ['RANK'])", ranks=3, console_ranks=choice)
    agent = run.finish()
    assert sorted(agent.shown.decode().splitlines()) == shown
    assert [run.messages(rank) for rank in range(3)] == [["rank 0"], ["rank 1"], ["rank 2"]]


def test_a_choice_of_ranks_that_is_none_is_a_wrong_request(make):
    run = make("print(1)", console_ranks="first")
    assert run.finish().code == 2
    assert "console.ranks=first" in run.outcome["message"]


def test_a_line_of_ten_megabytes_is_kept_whole_as_one_line(make):
    run = make("print('x' * 10_000_000); print('after')")
    agent = run.finish()
    assert agent.shown == b"x" * 10_000_000 + b"\nafter\n"
    assert run.messages() == ["x" * 10_000_000, "after"]


def test_memory_does_not_grow_with_a_line(make):
    script = """
import os
for _ in range(50):
    os.write(1, b"x" * 1_000_000)
status = open(f"/proc/{os.getppid()}/status").read()
print("\\n", next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
    run = make(script, console_ranks="none")
    run.finish()
    assert int(run.messages()[-1]) < 64 * 1024  # KiB, of which the interpreter is a third


def test_bytes_that_are_no_text_pass_unchanged(make):
    every = "bytes(b for b in range(256) if b not in (10, 13))"
    run = make(f"import os; os.write(1, {every} + b'\\n')")
    agent = run.finish()
    assert agent.shown == eval(every) + b"\n"
    assert (run.directory / "logs/node-0/rank-0.log").read_bytes().endswith(b" | " + eval(every) + b"\n")


def test_output_without_a_last_newline_is_not_lost(make):
    run = make("print('no newline', end='')")
    assert run.finish().shown == b"no newline\n"
    assert run.messages() == ["no newline"]


def test_output_that_waits_for_the_end_of_its_line_is_shown_after_a_moment(make):
    script = "print('loading', end='', flush=True); open('fifo').read(); print(' done')"
    run = make(script, directory="{primus.run_dir}")
    os.mkfifo(run.directory / "fifo")
    agent = run.start()
    assert agent.line(end=b"g") == "loading"
    (run.directory / "fifo").write_text("go")
    assert agent.wait() == 0
    assert run.messages() == ["loading done"]


def test_a_progress_bar_is_one_line_of_the_log_for_each_state(make):
    run = make(r"import sys; sys.stdout.write('\r 10%\r 50%\r100%\ndone\r\n')")
    agent = run.finish()
    assert agent.shown == b"\r 10%\r 50%\r100%\ndone\r\n"
    assert run.messages() == [" 10%", " 50%", "100%", "done"]


def test_a_million_lines_all_arrive(make):
    """An agent waits a few seconds at its end for whoever reads: this rank ends when all is read."""
    script = "import os, sys, time\nfor i in range(1_000_000): sys.stdout.write(f'line {i}\\n')\nsys.stdout.flush()\n"
    run = make(script + "while not os.path.exists(os.environ['PRIMUS_RUN_DIR'] + '/read'): time.sleep(0.01)")
    agent, shown, lines = run.start(), [], 0
    while lines < 1_000_000:
        shown.append(os.read(agent.process.stdout.fileno(), 1 << 20) or pytest.fail("the agent ends"))
        lines += shown[-1].count(b"\n")
    (run.directory / "read").touch()
    assert agent.wait() == 0
    lines = b"".join([*shown, agent.shown]).decode().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (1_000_000, "line 0", "line 999999")
    assert run.log().count("\n") == 1_000_000


def test_a_job_goes_on_when_nobody_reads_its_console(make):
    run = make("import os\nfor i in range(20000): os.write(1, b'line\\n')\n")
    reading, writing = os.pipe()
    os.close(reading)
    agent = run.start(stdout=writing)
    os.close(writing)
    assert agent.wait() == 0
    assert run.log().count("\n") == 20000


def test_a_console_that_is_closed_in_the_middle_does_not_end_the_job(make):
    run = make("import os\nfor i in range(20000): os.write(1, b'line\\n')\n")
    agent = run.start()
    agent.line()
    agent.process.stdout.close()
    agent.process.stdout = None
    assert agent.wait() == 0
    assert run.log().count("\n") == 20000


def test_a_console_that_is_not_read_holds_up_no_rank(make):
    run = make("import os\nfor i in range(50000): os.write(1, b'x' * 999 + b'\\n')\nprint('the end')")
    agent = run.start()
    log = run.directory / rundir.rank_log(0, 0)
    while not log.exists() or not log.read_bytes().endswith(b"the end\n"):
        assert agent.process.poll() is None
        time.sleep(0.05)
    shown = agent.process.communicate(timeout=PATIENCE)[0]
    missing = [int(count) for count in re.findall(rb"primus: (\d+) lines are not shown", shown)]  # each time it is full
    assert missing
    assert shown.count(b"\n") - len(missing) + sum(missing) == 50001


def test_the_console_may_be_a_file(make, tmp_path):
    run = make("print('hello')")
    with open(tmp_path / "console", "wb") as file:
        file.write(b"before\n")
        file.flush()
        agent = run.start(stdout=file)
        assert agent.wait() == 0
    assert (tmp_path / "console").read_bytes() == b"before\nhello\n"


def test_the_console_of_the_user_is_not_made_non_blocking(make):
    """The open file is shared with the shell, which would fail on it."""
    run = make("print('hello')")
    reading, writing = os.pipe()
    agent = run.start(stdout=writing)
    assert agent.wait() == 0
    assert os.get_blocking(writing)
    os.close(writing)
    os.close(reading)


def output(tmp_path, shown, secrets=()):
    overlap = max((len(s) for s in secrets), default=0)
    return Output("h r0", str(tmp_path / "log"), redactor(secrets), overlap, shown.append)


def test_a_secret_is_masked_also_where_a_long_line_is_cut(tmp_path):
    secret, shown = "s3cret-token-value", []
    out = output(tmp_path, shown, [secret])
    for start in range(5):
        text = b"x" * ((64 << 10) - 8 + start * 4) + secret.encode() + b"y" * 200_000
        for at in range(0, len(text), 4096):
            out.feed(text[at : at + 4096], 0.0)
        out.feed(b"\n", 0.0)
    out.close(0.0)
    assert secret.encode() not in b"".join(shown)
    assert b"".join(shown).count(b"***") == 5


def test_the_first_sign_of_an_end_is_the_time_of_its_traceback(tmp_path):
    out = output(tmp_path, [])
    out.feed(b"step 1\n", 100.0)
    out.feed(b"[rank0]: Traceback (most recent call last):\n[rank0]: ValueError: nan\n", 101.0)
    out.feed(b"saying goodbye\n", 102.0)
    out.close(103.0)
    assert (out.sign, out.error) == (101.0, "ValueError: nan")


def test_a_traceback_that_was_caught_is_no_sign(tmp_path):
    out = output(tmp_path, [])
    out.feed(b"Traceback (most recent call last):\nOSError: try again\n", 100.0)
    out.feed(b"step 2\n", 110.0)
    out.close(110.0)
    assert (out.sign, out.error) == (None, None)
