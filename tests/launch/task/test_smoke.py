"""`task=smoke` by the real command: real processes, real PyTorch, on the CPU."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, Primus, Start, command_lines

OFF = "tracking.enabled=false"
SHORT = ("task=smoke", OFF, "gpu=cpu", "task.seconds=0.05")


def the_run(work: Path) -> Path:
    """The directory of the newest run there is."""
    return max(d for d in (work / "outputs/default").iterdir() if d.is_dir())


def rows(work: Path, kind: str) -> list[dict[str, Any]]:
    lines = (the_run(work) / "results.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def lists(work: Path) -> tuple[str, str]:
    """The nodes that pass, and those that fail."""
    folder = the_run(work) / "smoke"
    return (folder / "passing.txt").read_text().strip(), (folder / "failing.txt").read_text().strip()


def processes(word: str) -> list[int]:
    """Processes whose command line has this word."""
    return [pid for pid, words in command_lines().items() if os.fsencode(word) in words]


@pytest.mark.torch
def test_every_device_is_measured_and_all_of_a_node_together(primus: Primus, work: Path) -> None:
    said = primus(*SHORT, "task.processes=2", "task.timeout=240")
    assert said.code == 0, said.out + said.err
    found = rows(work, "gpu")
    assert [row["gpu"] for row in found] == ["cpu0", "cpu1"]
    assert all(row["state"] == "pass" for row in found)
    assert all(row[name] > 0 for row in found for name in ("gemm", "memory", "all_reduce"))
    assert lists(work) == (found[0]["node"], "")
    assert "GEMM" in said.out


def test_a_process_that_hangs_is_killed_and_its_node_fails(start: Start, work: Path) -> None:
    process = start(*SHORT, "task.timeout=2")
    until = time.monotonic() + PATIENCE
    pids: list[int] = []
    while not pids:
        assert time.monotonic() < until
        time.sleep(0.01)
        pids = [
            pid
            for path in work.glob("outputs/default/*/smoke.json")
            for pid in processes(str(path))
            if pid != os.getpid()
        ]
    os.kill(pids[0], signal.SIGSTOP)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, out + err
    (row,) = rows(work, "gpu")
    assert row["state"] == "fail"
    assert row["why"].startswith("hung, killed after 2 s in ")
    assert lists(work) == ("", row["node"])
    assert row["why"] in err
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.slurm
@pytest.mark.torch
def test_each_node_of_a_cluster_is_tried_by_itself(primus: Primus, slurm: Slurm, work: Path) -> None:
    said = primus(*SHORT, "runtime=slurm", "runtime.nodes=2", "task.timeout=240")
    assert said.code == 0, said.out + said.err
    assert [row["node"] for row in rows(work, "gpu")] == list(slurm.nodes)
    assert lists(work) == (",".join(slurm.nodes), "")
