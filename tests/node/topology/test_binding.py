"""Which cores and which adapter are each rank's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node import bind, devices
from primus.node.topology import Topology, sysfs
from primus.node.topology.binding import Binding, bindings

from .. import recorded
from ..conftest import Run
from . import machines

ALL = range(64)


def of(root: Path, ranks: int, allowed: range = ALL, topology: Topology | None = None) -> tuple[Binding, ...]:
    """The bindings of so many ranks on the GPUs of the machine in order."""
    found = topology or sysfs.survey(root)
    addresses = [gpu.pci.address for gpu in found.gpus]
    return bindings(found, addresses, ranks, allowed, lambda cores: sysfs.siblings(root, cores))


def test_ranks_share_the_cores_of_their_gpus_numa_node_and_have_the_nearest_adapter(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    assert [(b.local_rank, b.gpu, b.numa, sysfs.short(b.cores), b.nic, b.away) for b in of(tmp_path, 4)] == [
        (0, "GPU0", 0, "0-7,32-39", "mlx5_0", "PIX"),
        (1, "GPU1", 0, "8-15,40-47", "mlx5_1", "PIX"),
        (2, "GPU2", 1, "16-23,48-55", "mlx5_2", "PIX"),
        (3, "GPU3", 1, "24-31,56-63", "mlx5_3", "PIX"),
    ]


def test_only_cores_that_the_job_may_use_are_given(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    assert [sysfs.short(b.cores) for b in of(tmp_path, 4, range(4, 17))] == ["4-9", "10-15", "16", "16"]
    far = of(tmp_path, 4, range(4))
    assert [(b.numa, b.cores) for b in far] == [(0, (0, 1)), (0, (2, 3)), (None, ()), (None, ())]


def test_adapters_that_are_down_are_left_out_and_the_others_shared_evenly(tmp_path: Path) -> None:
    machine = machines.h200(tmp_path)
    machine.write("sys/class/infiniband/mlx5_0/ports/1/state", "1: DOWN")
    machine.write("sys/class/infiniband/mlx5_2/ports/1/state", "1: DOWN")
    assert [(b.nic, b.away) for b in of(tmp_path, 4)] == [
        ("mlx5_1", "NODE"), ("mlx5_1", "PIX"), ("mlx5_3", "NODE"), ("mlx5_3", "PIX"),
    ]  # fmt: skip


def test_more_ranks_than_gpus_go_round(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    found = of(tmp_path, 8)
    assert [b.gpu for b in found] == ["GPU0", "GPU1", "GPU2", "GPU3"] * 2
    assert len({core for b in found for core in b.cores}) == sum(len(b.cores) for b in found) == 64


def test_without_gpus_ranks_are_spread_over_the_numa_nodes_in_order(tmp_path: Path) -> None:
    machines.sockets(tmp_path)
    assert [(b.numa, sysfs.short(b.cores), b.nic) for b in of(tmp_path, 3)] == [
        (0, "0-7,32-39", ""), (0, "8-15,40-47", ""), (1, "16-31,48-63", ""),
    ]  # fmt: skip


def test_a_gpu_at_an_unknown_numa_node_is_bound_only_where_there_is_one(tmp_path: Path) -> None:
    two = machines.sockets(tmp_path / "two")
    two.nvidia(0, "pci0000:17/0000:17:01.0/0000:18:00.0", -1)
    assert of(tmp_path / "two", 1)[0].cores == ()
    one = machines.Machine(tmp_path / "one")
    one.numa(0, "0-7", 64, "10")
    one.nvidia(0, "pci0000:17/0000:17:01.0/0000:18:00.0", -1)
    assert (of(tmp_path / "one", 1)[0].numa, of(tmp_path / "one", 1)[0].cores) == (0, tuple(range(8)))


def test_ranks_of_a_virtual_machine_share_the_cores_of_its_only_numa_node(tmp_path: Path) -> None:
    found = of(recorded.tree(tmp_path), 2, range(32))
    assert [(b.gpu, b.address, b.numa, sysfs.short(b.cores), b.nic, b.away) for b in found] == [
        ("GPU0", "0000:00:06.0", 0, "0-15", "eth0", "PHB"),
        ("GPU1", "0000:00:07.0", 0, "16-31", "eth0", "PHB"),
    ]


def test_ranks_on_chosen_devices_are_bound_by_those(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    environ = {devices.CUDA: "3,0"}
    found = devices.detect("auto", environ, tmp_path)
    bound = bind.suggested(sysfs.survey(tmp_path), found, environ, 2, tmp_path)
    assert [(b.gpu, b.nic) for b in bound] == [("GPU3", "mlx5_3"), ("GPU0", "mlx5_0")]


def test_memory_is_bound_by_numactl_where_it_is_there_and_allowed(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    topology = sysfs.survey(tmp_path)
    bound, path = of(tmp_path, 4), str(tmp_path / "bin")
    assert bind.memory(bound, topology, path, lambda argv: "") == ""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/numactl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    asked: list[object] = []
    assert bind.memory(bound, topology, path, lambda argv: asked.append(argv) or "") == str(program)
    assert asked == [[str(program), "--preferred=0", "true"]]
    assert bind.memory(bound, topology, path, lambda argv: None) == "", "a container forbids it"
    assert bind.argv(["a", "b"], bound[3], str(program)) == (str(program), "--preferred=1", "--", "a", "b")
    assert bind.argv(["a", "b"], bound[3], "") == ("a", "b")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be divided")
def test_a_job_that_asks_for_it_runs_its_ranks_on_cores_of_their_own(make: Callable[..., Run]) -> None:
    run = make("import os; print(sorted(os.sched_getaffinity(0)))", ranks=2, numa="auto")
    run.finish()
    told = [set(map(int, run.messages(rank)[-1].strip("[]").split(","))) for rank in (0, 1)]
    assert told[0].isdisjoint(told[1])
    assert [set(one["cores"]) for one in run.facts["bindings"]] == told
