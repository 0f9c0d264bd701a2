"""`task=benchmark/collectives`, run by its users' command: two ranks here, and two nodes of a real Slurm."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from primus.node.collectives import OPERATIONS
from primus.rank.benchmark.collectives.measuring import Measuring
from primus.rank.benchmark.collectives.operations import KINDS, AllReduce
from primus.rank.benchmark.collectives.worker import Config, plan

from ....cluster.slurm import Slurm
from ....conftest import Primus, Said

pytestmark = pytest.mark.torch
QUICK = ("task=benchmark/collectives", "gpu=cpu", "tracking.enabled=false", "node.metrics_interval=0",
         "task.iterations=3", "task.warmup=1")  # fmt: skip


def rows(work: Path) -> list[dict[str, Any]]:
    (run,) = (work / "outputs/default").iterdir()
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def test_every_operation_moves_the_right_data_on_a_cpu(primus: Primus, work: Path) -> None:
    said: Said = primus(*QUICK, "task.sizes=[4K,1M]", "task.dtypes=[fp32,bf16]", "task.stride=1")
    assert (said.code, said.err) == (0, "")
    found = rows(work)
    assert [(row["dtype"], row["operation"], row["bytes"]) for row in found] == [
        (dtype, name, size) for dtype in ("fp32", "bf16") for name in OPERATIONS for size in (4096, 1 << 20)
    ]
    assert {(row["groups"], row["ranks"]) for row in found} == {("all", 2), ("stride_1", 2)}
    for row in found:
        assert row["wrong"] == 0
        assert 0 < row["time_min"] <= row["time_p50"] <= row["time_p95"] <= row["time_max"]
        assert row["algorithm_bandwidth"] == pytest.approx(row["bytes"] / row["time_mean"] / 1e3)
        assert row["bus_bandwidth"] == pytest.approx(row["algorithm_bandwidth"] * row["ranks"] / 2 / (
            1 if row["operation"] in ("all_reduce", "broadcast", "p2p", "ring_p2p") else 2
        ))  # fmt: skip
    (run,) = (work / "outputs/default").iterdir()
    with (run / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found)
    assert "all_reduce" in said.out
    assert "Bus bandwidth: all, fp32" in (run / "report.html").read_text()


class Flipped(AllReduce):
    """A sum of which the wire has lost something."""

    def run(self) -> None:
        super().run()
        self._tensor[7] += 1


def test_data_that_came_out_wrong_are_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("PRIMUS_RUN_DIR", str(work))
    monkeypatch.setitem(KINDS, "broadcast", Flipped)
    config = Config(("all_reduce", "broadcast"), (1024,), ("fp16",), ("all",), None, 2, 0)
    with Measuring(2, 0) as measuring:
        wrong = measuring.all(plan(config, 1, 1, on_gpus=False))
    assert wrong == ["broadcast of 1024 bytes (fp16, all) at rank 0"]
    assert [row["wrong"] for row in map(json.loads, (work / "results.jsonl").read_text().splitlines())] == [0, 1]


@pytest.mark.slurm
@pytest.mark.slow
def test_two_nodes_measure_within_each_and_between_them(primus: Primus, work: Path, slurm: Slurm) -> None:
    said = primus(*QUICK, "runtime=slurm", "runtime.nodes=2", "runtime.frozen=false", "ranks_per_node=2",
                  "task.sizes=[64K]", "task.operations=[all_reduce,all_to_all,p2p,strided_all_gather]",
                  "task.groups=[all,intra_node,inter_node,[0,3]]")  # fmt: skip
    assert (said.code, said.err) == (0, "")
    found = rows(work)
    assert [(row["operation"], row["groups"], row["ranks"]) for row in found] == [
        *((name, *group) for name in ("all_reduce", "all_to_all", "p2p")
          for group in (("all", 4), ("intra_node", 2), ("inter_node", 2), ("0,3", 2))),
        ("strided_all_gather", "stride_2", 2),
    ]  # fmt: skip
    assert {row["wrong"] for row in found} == {0}
    assert {row["slowest"].split(" on ")[1] for row in found} <= set(slurm.nodes)


def test_without_sizes_the_device_says_how_far_they_go() -> None:
    config = Config(("all_reduce",), None, ("fp32",), ("all",), None, 20, 5)
    assert [case.size for case in plan(config, 8, 8, on_gpus=True)][-1] == 1 << 30
    assert [case.size for case in plan(config, 2, 2, on_gpus=False)][-1] == 1 << 24


def test_a_stride_that_no_two_ranks_have_is_refused() -> None:
    config = Config(("strided_all_gather",), (1024,), ("fp32",), ("all",), 4, 20, 5)
    with pytest.raises(ValueError, match=r"task\.stride=4: no two of 4 ranks are that far apart"):
        plan(config, 4, 4, on_gpus=False)


def test_one_rank_has_nobody_to_send_to_and_measures_the_rest() -> None:
    config = Config(OPERATIONS, (1024,), ("fp32",), ("all", "intra_node"), None, 20, 5)
    assert {case.operation for case in plan(config, 1, 1, on_gpus=True)} == {*OPERATIONS} - {
        "p2p", "strided_all_gather",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backend=maxtext",), "task=benchmark/collectives measures with PyTorch"),
        (("task.groups=[[0,1],[1,2]]",), "task.groups: rank 1 is in two groups"),
        (("task.groups=[[0,7]]",), "task.groups: there is no rank 7: the ranks are 0 to 1"),
        (("task.operations=[]",), "task.operations: is empty"),
        (("task.operations=[all_reduse]",), "Did you mean 'all_reduce'?"),
        (("task.sizes=[3X]",), "task.sizes: '3X' is no size"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_start(
    primus: Primus, work: Path, words: tuple[str, ...], message: str
) -> None:
    said = primus(*QUICK, *words)
    assert said.code == 2
    assert message in said.err
    assert not (work / "outputs").exists()
