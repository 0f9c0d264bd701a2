"""What the nodes of a smoke test say beside each other."""

import json
from pathlib import Path

import pytest

from primus.launch import outcome, smoke
from primus.node import rundir

H200, H100 = "NVIDIA H200", "NVIDIA H100"


def run(directory: Path, *gpus: int) -> Path:
    """A finished smoke test of nodes with so many GPUs, each of which passes by itself."""
    rundir.write_json(directory / rundir.PLAN, {"job": {"nodes": len(gpus), "checks": "smoke", "command": []}})
    for node, count in enumerate(gpus):
        name = f"n{node}"
        rows = [{"kind": "gpu", "node": name, "gpu": f"gpu {n}", "state": "pass"} for n in range(max(1, count))]
        report = {"passed": True, "message": "", "node": name, "rows": rows, "gpus": count, "model": H200 * bool(count)}
        rundir.write_json(directory / rundir.checks_report(node, "smoke"), report)
        rundir.write_json(directory / rundir.node_facts(node), {"host": name, "outcome": {"status": "finished"}})
    return directory


def test_a_node_whose_gpus_are_gone_fails_beside_the_others(tmp_path: Path) -> None:
    result = outcome.write_result(run(tmp_path, 8, 0, 8, 7), 100.0, interrupted=False)
    assert (result["status"], result["exit_code"]) == ("FAILED", 3)
    assert result["message"] == "n1: 0 GPUs, 8 on the others; n3: 7 GPUs, 8 on the others"
    assert (tmp_path / smoke.PASSING).read_text() == "n0,n2\n"
    assert (tmp_path / smoke.FAILING).read_text() == "n1,n3\n"
    rows = [json.loads(line) for line in (tmp_path / rundir.RESULTS).read_text().splitlines()]
    assert [(row["node"], row["why"]) for row in rows if row.get("gpu") == "all"] == [
        ("n1", "0 GPUs, 8 on the others"),
        ("n3", "7 GPUs, 8 on the others"),
    ]


def test_nodes_that_are_alike_pass(tmp_path: Path) -> None:
    assert outcome.write_result(run(tmp_path, 8, 8), 100.0, interrupted=False)["exit_code"] == 0
    assert (tmp_path / smoke.FAILING).read_text() == "\n"


@pytest.mark.parametrize(
    ("found", "odd"),
    [
        ({0: (8, H200), 1: (7, H200)}, {1: "7 GPUs, 8 on the others"}),
        ({0: (8, H200), 1: (8, H200), 2: (8, H100)}, {2: f"{H100}, {H200} on the others"}),
        ({0: (8, H200), 1: (8, H100)}, {}),
        ({0: (0, ""), 1: (0, "")}, {}),
        ({0: (7, H200)}, {}),
        ({}, {}),
    ],
)
def test_who_is_odd(found: dict[int, tuple[int, str]], odd: dict[int, str]) -> None:
    assert smoke.odd_ones(found) == odd
