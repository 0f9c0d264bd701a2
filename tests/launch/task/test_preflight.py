"""`task=preflight` and `preflight=true` by the real command."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import Primus, Rank

OFF = "tracking.enabled=false"
QUICK = ("task=preflight", OFF, "task.checks=[host,network,storage]")


def the_run(work: Path) -> Path:
    """The directory of the newest run there is."""
    return max(d for d in (work / "outputs/default").iterdir() if d.is_dir())


def rows(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (the_run(work) / "results.jsonl").read_text().splitlines()]


@pytest.fixture
def told(work: Path, primus: Primus) -> dict[str, str]:
    """What is said of a node that lacks nothing but the adapter that it is told to use; its exit code is checked."""
    (work / "file").write_text("")
    said = primus(*QUICK, "env.set.NCCL_IB_HCA=mlx5_9", f"task.checkpoint={work}/file/nowhere", "task.free=0")
    assert said.code == 3
    return {"out": said.out, "err": said.err}


def test_what_fails_is_told_with_what_is_right_and_how_to_mend_it(told: dict[str, str], work: Path) -> None:
    assert "mlx5_9 does not exist" in told["err"]
    found = {row["name"]: row for row in rows(work) if row["kind"] == "finding" and row["level"] == "fail"}
    assert set(found) == {"NCCL_IB_HCA", "checkpoint directory"}
    assert all(row["seen"] and row["expected"] and row["mend"] for row in found.values())
    assert "not a directory" in found["checkpoint directory"]["seen"]
    assert found["NCCL_IB_HCA"]["mend"].startswith("env.set.NCCL_IB_HCA=")
    for text in ("mlx5_9 does not exist", "env.set.NCCL_IB_HCA"):
        assert text in told["out"]
        assert text in (the_run(work) / "report.html").read_text()
    assert (the_run(work) / "report.html").read_text().count(found["NCCL_IB_HCA"]["mend"]) == 1
    assert json.loads((the_run(work) / "result.json").read_text())["exit_code"] == 3
    assert [*work.rglob(".primus-preflight*")] == []


def test_a_directory_of_checkpoints_is_made_by_the_job_and_one_of_data_is_not(primus: Primus, work: Path) -> None:
    said = primus(*QUICK, "task.free=0", f"task.checkpoint={work}/nowhere", f"data.files={work}/nodata/*/*.md")
    assert said.code == 3
    seen = {row["name"]: (row["level"], row["seen"]) for row in rows(work) if row.get("area") == "storage"}
    assert seen["data directory"] == ("fail", f"{work}/nodata: no such file or directory")
    assert seen["checkpoint directory"][0] == "info"


def test_an_interpreter_that_cannot_serve_is_a_finding(primus: Primus, work: Path) -> None:
    said = primus("task=preflight", OFF, "task.checks=[software]", "backend.python=/bin/false")
    assert said.code == 3
    (found,) = [row for row in rows(work) if row["kind"] == "finding"]
    assert (found["name"], found["seen"]) == ("interpreter", "exit code 1: it said nothing")


def test_the_interpreter_of_the_ranks_is_asked_and_multiplies(primus: Primus, work: Path) -> None:
    said = primus("task=preflight", OFF, "gpu=cpu", "task.checks=[gpu,software]", "task.timeout=240")
    assert said.code == 0, said.out + said.err
    seen = {row["name"]: row["seen"] for row in rows(work) if row["kind"] == "checked"}
    assert seen["cpu product"].startswith("as the CPU's")
    assert seen["torch"][0].isdigit()
    assert {"torch", "torchtitan", "count"} <= set(seen)


def test_a_job_with_preflight_starts_no_rank_where_a_check_fails(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*rank("print('a rank')"), OFF, "preflight=true", "env.set.NCCL_IB_HCA=mlx5_9")
    assert said.code == 3
    assert "network: NCCL_IB_HCA: mlx5_9 does not exist" in said.out
    assert "preflight: 1 check failed" in said.err
    assert not (the_run(work) / "logs/node-0/rank-0.log").exists()


def test_a_job_with_preflight_runs_where_all_is_well(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*rank("print('a rank')"), OFF, "preflight=true")
    assert said.code == 0, said.out + said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("preflight: ")
    assert "0 failed" in lines[0]
    assert "a rank" in lines
    assert not (the_run(work) / "results.jsonl").exists()


@pytest.fixture
def short_frames(slurm: Slurm) -> Iterator[str]:
    """A node whose network has another MTU than that of the other."""
    node = slurm.nodes[1]
    subprocess.run(["ip", "-n", node, "link", "set", "eth0", "mtu", "1400"], check=True, timeout=10)
    yield node
    subprocess.run(["ip", "-n", node, "link", "set", "eth0", "mtu", "1500"], check=True, timeout=10)


@pytest.mark.slurm
def test_nodes_of_a_cluster_are_compared_and_their_links_measured(
    primus: Primus, slurm: Slurm, short_frames: str, work: Path
) -> None:
    said = primus(*QUICK, "runtime=slurm", "runtime.nodes=2", "task.megabytes=8", "task.free=0")
    assert said.code == 0, said.out + said.err
    found = rows(work)
    assert [row["node"] for row in found if row["kind"] == "node"] == list(slurm.nodes)
    (mtu,) = [row for row in found if row["kind"] == "finding" and row["name"] == "mtu"]
    assert mtu["seen"] == f"{slurm.nodes[0]}: 1500; {short_frames}: 1400"
    (link,) = [row for row in found if row["kind"] == "link"]
    assert (link["from"], link["to"]) == slurm.nodes
    assert min(link["there"], link["back"]) > 0


@pytest.mark.slurm
def test_nodes_that_fail_stop_a_job_before_any_rank(primus: Primus, rank: Rank, slurm: Slurm, work: Path) -> None:
    bad = "env.set.NCCL_IB_HCA=mlx5_9"
    said = primus("runtime=slurm", "runtime.nodes=2", *rank("print('a rank')"), OFF, "preflight=true", bad)
    assert said.code == 3, said.out + said.err
    assert all(f"{node}: network: NCCL_IB_HCA" in said.err for node in slurm.nodes)
    assert [*the_run(work).glob("logs/node-*/rank-*.log")] == []
