"""`task=analyze/topology`: what it finds, tells and draws."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from primus.launch.report.page import Picture, Text
from primus.launch.task.analyze import topology as task
from primus.node.topology import Link, sysfs
from primus.node.typed import plain
from primus.rank.results import Results
from primus.rank.topology.worker import Config, Seen, alike, look, tell, words

from ...cluster.slurm import Slurm
from ...conftest import Primus
from ...node.topology import machines

OFF = ("task=analyze/topology", "tracking.enabled=false", "node.metrics_interval=0")


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    """A node of four GPUs whose tools are not there."""
    machines.h200(tmp_path)
    return replace(look(Config("auto", 4), tmp_path), host="first")


def rows(directory: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (directory / "results.jsonl").read_text().splitlines():
        found.setdefault(json.loads(line)["kind"], []).append(json.loads(line))
    return found


def test_nodes_that_are_wired_alike_are_told_once_and_the_odd_one_is_named(seen: Seen, tmp_path: Path) -> None:
    adapters = seen.topology.nics
    down = replace(seen.topology, nics=(replace(adapters[0], up=False), *adapters[1:]))
    kinds = alike([seen, replace(seen, host="odd", topology=down), replace(seen, host="third")])
    for nodes in kinds:
        tell(Results(tmp_path), nodes, kinds)
    found = rows(tmp_path)
    assert [(row["hosts"], row["gpus"], row["links"]) for row in found["node"]] == [
        ("first, third", 4, "2 NODE, 4 SYS"), ("odd", 4, "2 NODE, 4 SYS"),
    ]  # fmt: skip
    (unlike,) = (row for row in found["finding"] if row["hosts"] == "odd" and row["name"] == "node")
    assert (unlike["seen"], unlike["expected"]) == ("wired in another way", "wired as first, third")
    assert [(row["gpu"], row["nic"]) for row in found["binding"] if row["hosts"] == "odd"] == [
        (f"GPU{n}", f"mlx5_{n}") for n in range(4)
    ]


def test_the_console_shows_the_matrix(seen: Seen) -> None:
    text = "\n".join(words([seen]))
    assert text.startswith("first: A CPU\n\n")
    assert "0000:3a:00.0" in text
    assert "PIX one PCIe bridge" in text


def test_the_report_draws_numa_nodes_gpus_adapters_and_links(seen: Seen) -> None:
    gpus = [gpu.name for gpu in seen.topology.gpus]
    mesh = [Link(one, other, "NV18") for n, one in enumerate(gpus) for other in gpus[n + 1 :]]
    near = [link for link in seen.topology.links if not link.other.startswith("GPU")]
    row = {"hosts": "first", "topology": plain(replace(seen.topology, links=(*mesh, *near)))}
    picture, text = task.page({"node": [row]})
    assert isinstance(picture, Picture)
    assert isinstance(text, Text)
    drawn = ElementTree.fromstring(picture.svg)
    told = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert told[:2] == ["NUMA 0 · cores 0-15,32-47 · 512 GiB", "NUMA 1 · cores 16-31,48-63 · 512 GiB"]
    assert "NV18 between any two GPUs" in told
    assert {*gpus, "mlx5_0", "mlx5_1", "mlx5_2", "mlx5_3", "eth0"} <= set(told)
    lines = [e for e in drawn.iter("{http://www.w3.org/2000/svg}line") if e.get("class") is None]
    assert len(lines) == 4, "each GPU to the adapter below its switch"
    assert drawn.get("aria-label") == "2 NUMA nodes, 4 GPUs, 5 network adapters"


def test_links_that_not_every_pair_has_are_drawn_each(seen: Seen) -> None:
    links = (Link("GPU0", "GPU1", "NV12"), Link("GPU2", "GPU3", "NV12"))
    (picture, _) = task.page({"node": [{"hosts": "a", "topology": plain(replace(seen.topology, links=links))}]})
    titles = [e.text for e in ElementTree.fromstring(picture.svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[:2] == ["GPU0 GPU1: NV12", "GPU2 GPU3: NV12"]


def test_rows_of_another_version_are_left_out_of_the_report() -> None:
    assert task.page({"node": [{"hosts": "a", "topology": {"cpu": 1}}, {"hosts": "b"}]}) == []


def test_this_machine_is_analysed(primus: Primus, work: Path) -> None:
    said = primus(*OFF)
    assert (said.code, said.err) == (0, "")
    (run,) = (work / "outputs/default").iterdir()
    found = rows(run)
    assert len(found["node"]) == 1
    assert found["node"][0]["cores"] == sum(len(node.cores) for node in sysfs.numa())
    assert found["binding"][0]["local_rank"] == 0
    assert "Binding of ranks (node.numa=auto)" in said.out
    assert "<svg" in (run / "report.html").read_text()


def test_a_rank_that_is_bound_itself_could_not_see_the_whole_node(primus: Primus) -> None:
    said = primus(*OFF, "node.numa=auto")
    assert said.code == 2
    assert "task=analyze/topology looks at whole nodes: leave out node.numa=auto" in said.err


@pytest.mark.slurm
def test_the_nodes_of_a_cluster_are_compared(primus: Primus, work: Path, slurm: Slurm) -> None:
    said = primus(*OFF, "runtime=slurm", "runtime.nodes=2", "runtime.frozen=false", "ranks_per_node=2")
    assert (said.code, said.err) == (0, "")
    (run,) = (work / "outputs/default").iterdir()
    hosts = {host for row in rows(run)["node"] for host in row["hosts"].split(", ")}
    assert hosts == set(slurm.nodes)
    assert {row["local_rank"] for row in rows(run)["binding"]} == {0, 1}
