"""Starting and asking other programs."""

import os
import signal
import subprocess
import sys

import pytest

from primus.node import process

from ..conftest import PATIENCE


def test_a_short_command_answers():
    assert process.ask([sys.executable, "-c", "print('yes')"], PATIENCE) == "yes\n"


@pytest.mark.parametrize(
    "argv",
    [["no-such-tool"], ["/"], [sys.executable, "-c", "import sys; print('no'); sys.exit(1)"], ["a\0b"]],
    ids=["missing", "a folder", "failing", "unspeakable"],
)
def test_a_command_that_is_missing_or_fails_has_no_answer(argv):
    assert process.ask(argv, 10.0) is None


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path, ends):
    script = "import os, time; os.fork(); open(f'{os.getpid()}', 'w').close(); time.sleep(600)"
    for seconds in (0.5, 5.0, 50.0):  # to start them may take
        assert process.ask([sys.executable, "-I", "-S", "-c", script], seconds, cwd=str(tmp_path)) is None
        pids = [int(path.name) for path in tmp_path.iterdir()]
        if len(pids) >= 2:
            break
    assert len(pids) == 2
    assert all(ends(pid) for pid in pids)


def test_an_answer_that_is_no_text_is_no_crash():
    assert process.ask([sys.executable, "-c", "import os; os.write(1, bytes([255, 65]))"], PATIENCE) == "\ufffdA"


def test_a_process_leads_a_session_of_its_own_and_has_no_input():
    script = "import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))"
    with process.start([sys.executable, "-c", script], stdout=process.PIPE) as started:
        assert started.communicate(timeout=PATIENCE)[0] == b"True ''\n"


def test_files_are_passed_only_when_named():
    reading, writing = os.pipe()
    script = f"import os; print(os.path.exists('/proc/self/fd/{reading}'), os.path.exists('/proc/self/fd/{writing}'))"
    with process.start([sys.executable, "-c", script], stdout=process.PIPE, pass_fds=[reading]) as started:
        assert started.communicate(timeout=PATIENCE)[0] == b"True False\n"
    os.close(reading)
    os.close(writing)


def test_a_process_dies_with_its_parent_when_asked_to(ends):
    script = """
import sys, time
sys.path.insert(0, sys.argv[1])
from primus.node import process
child = process.start([sys.executable, "-c", "import time; time.sleep(600)"], die_with_parent=True)
print(child.pid, flush=True)
time.sleep(600)
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(process.__file__)))
    parent = subprocess.Popen([sys.executable, "-c", script, root], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert ends(child)


def test_codes_of_signals_are_the_shells():
    started = process.start([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"])
    assert process.exit_code(os.waitpid(started.pid, 0)[1]) == 139
    started.returncode = -11
    assert [process.signal_name(code) for code in (139, 137, 1, 128, 255)] == ["SIGSEGV", "SIGKILL", None, None, None]


def test_a_group_that_is_gone_is_no_error():
    started = process.start([sys.executable, "-c", ""])
    started.wait()
    process.end_group(started.pid, signal.SIGTERM)
