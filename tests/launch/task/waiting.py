"""A job that runs until it is ended, started as a process of its own."""

import subprocess
import time
from pathlib import Path

from ...conftest import PATIENCE, Rank, Start

TEXT = """
import os, time
print("rank", os.environ["RANK"], flush=True)
open(f"pid-{os.environ['RANK']}.part", "w").write(str(os.getpid()))
os.rename(f"pid-{os.environ['RANK']}.part", f"pid-{os.environ['RANK']}")
while not os.path.exists("go"): time.sleep(0.02)
print("going", flush=True)
"""


def begin(start: Start, rank: Rank, work: Path, *words: str) -> tuple["subprocess.Popen[str]", Path, list[int]]:
    """The launcher, the run directory, and the ids of its two ranks, which have started."""
    launcher = start(*rank(TEXT), "ranks_per_node=2", "tracking.enabled=false", *words)
    until(lambda: (work / "pid-0").exists() and (work / "pid-1").exists())
    (directory,) = (work / "outputs/default").iterdir()
    return launcher, directory, [int((work / f"pid-{n}").read_text()) for n in (0, 1)]


def until(condition: object) -> None:
    """Wait for something that happens soon."""
    end = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
