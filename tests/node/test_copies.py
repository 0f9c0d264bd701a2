"""Copies of a process that run a function."""

import os
import signal
import sys

import pytest

from primus.node import copies, process

from ..conftest import PATIENCE

COPY = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from primus.node import copies
signal.signal(signal.SIGTERM, lambda signum, frame: None)
passed, other = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)

def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False

def body():
    alone = os.getsid(0) == os.getpid()
    print(alone, os.getcwd(), is_open(passed), is_open(other), signal.getsignal(signal.SIGTERM).name, flush=True)
    if sys.argv[2] == "wait":
        time.sleep(600)
    return 3

copy = copies.start(body, cwd="/usr", pass_fds=(passed,))
if sys.argv[2] == "wait":
    os.kill(copy.pid, signal.SIGTERM)
while copy.poll() is None:
    time.sleep(0.01)
print(copy.poll(), os.getcwd() == "/usr", is_open(other))
"""


@pytest.mark.parametrize(("what", "status"), [("end", 3), ("wait", -signal.SIGTERM)])
def test_a_copy_is_as_a_program_that_was_started(what, status):
    root = os.path.dirname(os.path.dirname(os.path.dirname(process.__file__)))
    said = process.ask([sys.executable, "-I", "-S", "-c", COPY, root, what], PATIENCE)
    lines = said.splitlines()
    assert lines[-1] == f"{status} False True"
    assert what == "wait" or lines[0] == "True /usr True False SIG_DFL"


def test_a_copy_in_a_directory_that_is_missing_is_refused():
    with pytest.raises(FileNotFoundError):
        copies.start(lambda: 0, cwd="/nowhere")


COLLECTING = """
import gc, os, select, sys
sys.path.insert(0, sys.argv[1])
from primus.node import copies
gc.disable()
cycle = [select.epoll()]
cycle.append(cycle)
number = cycle[0].fileno()
del cycle

def body():
    opened = [os.dup(0)]
    while opened[-1] != number:
        opened.append(os.dup(0))
    gc.collect()
    print(bool(os.fstat(number)), flush=True)
    return 0

copy = copies.start(body, cwd="/")
os.waitpid(copy.pid, 0)
"""


def test_what_is_collected_in_a_copy_closes_no_file_of_its_own():
    root = os.path.dirname(os.path.dirname(os.path.dirname(process.__file__)))
    assert process.ask([sys.executable, "-I", "-S", "-c", COLLECTING, root], PATIENCE) == "True\n"
