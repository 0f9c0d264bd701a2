"""Benchmarks of devices on two nodes of a real Slurm."""

import json
import sys
from pathlib import Path

import pytest

from ....cluster.slurm import Slurm
from ....conftest import Primus

pytestmark = [pytest.mark.slurm, pytest.mark.torch]
OFF = ("tracking.enabled=false", "node.metrics_interval=0", "runtime.frozen=false")


def rows(work: Path, kind: str) -> list[dict[str, object]]:
    (run,) = (work / "outputs/default").iterdir()
    found = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    return [row for row in found if row["kind"] == kind]


def test_products_are_measured_on_both_nodes_at_once(primus: Primus, slurm: Slurm, work: Path) -> None:
    shape = ("task.m=32", "task.dtypes=fp32", "task.seconds=0.001", f"backend.python={sys.executable}")
    said = primus("task=benchmark/gemm", "runtime=slurm", "runtime.nodes=2", *shape, *OFF)
    assert said.code == 0, said.err
    assert [(row["rank"], row["host"]) for row in rows(work, "gemm_rank")] == [*enumerate(slurm.nodes)]
    (of_all,) = rows(work, "gemm")
    assert (of_all["devices"], of_all["m"]) == (2, 32)
    assert of_all["slowest"] in [f"{rank} on {node}" for rank, node in enumerate(slurm.nodes)]
    assert "Matrix products, each device" in said.out


def test_so_are_directories_which_need_no_framework(primus: Primus, slurm: Slurm, work: Path) -> None:
    small = ("task.size=16K", "task.block=4K", "task.threads=1", "task.repeats=1")
    said = primus("task=benchmark/io", "runtime=slurm", "runtime.nodes=2", *small, *OFF)
    assert said.code == 0, said.err
    assert [row["host"] for row in rows(work, "io_rank")] == [*slurm.nodes, *slurm.nodes]  # of writing, of reading
    assert not list((work / "outputs").glob(".primus-io-*"))
