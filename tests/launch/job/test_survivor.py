"""What a node does that lost the first; with a cluster see tests/launch/slurm/test_losses.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from primus.launch.job import survivor
from primus.node import rundir

from ...conftest import everything
from ...node.conftest import Run, make  # noqa: F401 -- a fixture


def test_a_node_that_cannot_ask_slurm_decides_nothing_and_says_so(
    make: Callable[..., Run],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run = make(nodes=2, lost_after=0.0)
    before = everything(run.directory)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(survivor, "_PAUSE", 0.0)
    assert survivor.main(run.directory, 1) == 1
    log = (run.directory / rundir.LAUNCH_LOG).read_text()
    assert "node 1: the first node is lost, and Slurm cannot be asked: " in log
    assert [path for path in everything(run.directory) if path not in before] == ["logs", rundir.LAUNCH_LOG]
