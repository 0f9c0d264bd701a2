"""Watching a job of a real Slurm from a test, and a rank that can be asked to stop."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...conftest import PATIENCE


def the_run(work: Path) -> Path:
    """The directory of the one run there is."""
    (directory,) = [d for d in (work / "outputs/default").iterdir() if d.is_dir()]
    return directory


def read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def soon(found: Callable[[], Any]) -> Any:
    """Wait until something is there, and return it."""
    until = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)
    return value


def job_of(work: Path, experiment: str = "default") -> str:
    """The Slurm job of the one run, once it is submitted."""
    (path,) = soon(lambda: [*work.glob(f"outputs/{experiment}/*/handle.json")])
    return str(read(path)["job_id"])


STOPS = """
import json, os, sys, time
metrics = os.environ["PRIMUS_METRICS"]
done = sum(1 for _ in open(metrics)) if os.path.exists(metrics) else 0
print("start", os.environ.get("SLURM_RESTART_COUNT", "0"), "after step", done, flush=True)
for step in range(done + 1, 100000):
    with open(metrics, "a") as file:
        file.write(json.dumps({"time": time.time(), "step": step, "loss": 1 / step}) + "\\n")
    if os.path.exists(os.environ["PRIMUS_STOP_FILE"]) or (done and step > done + 3):
        sys.exit(0)
    time.sleep(0.05)
"""


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: open(f"told-{os.environ['RANK']}", "w"))
open(f"begun-{os.environ['RANK']}", "w")
while True: time.sleep(1)
"""
