"""Cores and memory that a job may use, from recorded /proc and cgroup trees."""

import os
from pathlib import Path

import pytest

from primus.node import host

MANY = len(os.sched_getaffinity(0))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_host_has_cores_memory_and_a_name():
    cpu = host.survey()
    assert 1 <= cpu.cores <= MANY
    assert cpu.memory > 1 << 28
    assert host.name()


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", MANY), ("100000 100000", 1), ("150000 100000", 1), ("20000 100000", 1)]
)
def test_a_quota_of_the_cgroup_limits_the_cores(tmp_path, quota, cores):
    write(tmp_path / "proc/self/cgroup", "0::/job/step\n")
    write(tmp_path / "sys/fs/cgroup/job/cpu.max", quota + "\n")
    write(tmp_path / "sys/fs/cgroup/job/step/cpu.max", "max 100000\n")
    assert host.cores(tmp_path) == cores


def test_a_quota_of_the_older_cgroups_limits_the_cores(tmp_path):
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert host.cores(tmp_path) == 1
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert host.cores(tmp_path) == MANY


def test_a_limit_of_the_cgroup_counts_as_the_memory(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal:       24684096 kB\nMemFree:        1 kB\n")
    assert host.memory(tmp_path) == 24684096 * 1024
    write(tmp_path / "sys/fs/cgroup/memory.max", "1073741824\n")
    assert host.memory(tmp_path) == 1 << 30


def test_nothing_to_read_is_no_crash(tmp_path):
    assert host.survey(tmp_path) == host.Cpu("", MANY, 0)


def test_memory_is_that_of_the_group_that_allows_the_least(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal:       67108864 kB\nMemFree: 1 kB\nMemAvailable:   41943040 kB\n")
    write(tmp_path / "proc/self/cgroup", "0::/job/step\n")
    write(tmp_path / "sys/fs/cgroup/job/memory.max", f"{4 << 30}\n")
    write(tmp_path / "sys/fs/cgroup/job/memory.peak", f"{3 << 30}\n")
    write(tmp_path / "sys/fs/cgroup/job/step/memory.max", "max\n")
    assert host.memory_now(tmp_path) == host.Memory(64 << 30, 40 << 30, 4 << 30, 3 << 30)
    assert host.memory(tmp_path) == 4 << 30


def test_memory_of_the_older_cgroups_is_that_of_the_job_too(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal:       67108864 kB\n")
    write(tmp_path / "proc/self/cgroup", "4:memory:/slurm/job_7\n1:cpu:/elsewhere\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path / "sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", f"{2 << 30}\n")
    write(tmp_path / "sys/fs/cgroup/memory/slurm/job_7/memory.max_usage_in_bytes", f"{2 << 30}\n")
    assert host.memory_now(tmp_path) == host.Memory(64 << 30, 0, 2 << 30, 2 << 30)


def test_what_a_group_leaves_is_its_limit_without_what_it_holds_beside_files_that_can_be_dropped(tmp_path):
    group = tmp_path / "sys/fs/cgroup/job"
    write(tmp_path / "proc/self/cgroup", "0::/job\n")
    assert host.memory_left(tmp_path) is None
    write(group / "memory.max", f"{8 << 30}\n")
    assert host.memory_left(tmp_path) is None
    write(group / "memory.current", f"{7 << 30}\n")
    assert host.memory_left(tmp_path) == 1 << 30
    write(group / "memory.stat", f"anon {3 << 30}\ninactive_file {4 << 30}\n")
    assert host.memory_left(tmp_path) == 5 << 30


def test_without_a_limit_memory_is_that_of_the_host(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal:       67108864 kB\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert host.memory_now(tmp_path) == host.Memory(64 << 30, 0, 0, 0)
    assert str(host.memory_now(tmp_path)) == "the host has 64.0 GiB, 0.0 GiB of it available now"
