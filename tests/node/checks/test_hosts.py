"""The host, by files as the kernel's documentation describes them, and this machine by its own."""

from pathlib import Path

from primus.node.checks import hosts
from primus.node.checks.finding import Finding

from .. import recorded
from .trees import write

SOUND = {
    "proc/meminfo": "MemTotal:       1056000000 kB\nMemAvailable:   1000000000 kB\nHugePages_Total:       0\n",
    "proc/sys/kernel/numa_balancing": "0\n",
    "sys/devices/system/cpu/online": "0-95\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/node/node0/cpulist": "0-47\n",
    "sys/devices/system/node/node1/cpulist": "48-95\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}
GPU = "sys/bus/pci/devices/0000:1b:00.0"


def card(width: str, speed: str, kind: str = "0x030200") -> dict[str, str]:
    """A device of sysfs-bus-pci (Documentation/ABI/testing), whose slot has 16 lanes of PCIe 5."""
    most = {f"{GPU}/max_link_width": "16\n", f"{GPU}/max_link_speed": "32.0 GT/s PCIe\n"}
    return {f"{GPU}/class": kind, f"{GPU}/current_link_width": width, f"{GPU}/current_link_speed": speed} | most


def found(root: Path) -> dict[str, Finding]:
    """By name, without what depends on this process: its limits, /dev/shm."""
    own = ("open files", "locked memory", "/dev/shm")
    return {finding.name: finding for finding in hosts.check(root).findings if finding.name not in own}


def warned(root: Path) -> list[str]:
    return [name for name, finding in found(root).items() if finding.level != "info"]


def test_a_sound_host_has_nothing_to_mend(tmp_path: Path) -> None:
    write(tmp_path, SOUND | card("16", "32.0 GT/s PCIe"))
    assert warned(tmp_path) == []
    assert found(tmp_path)["numa"].seen == "2 nodes"


def test_a_virtual_machine_with_two_h200s_has_nothing_to_mend(tmp_path: Path) -> None:
    seen = {name: finding.seen for name, finding in found(recorded.tree(tmp_path)).items()}
    assert warned(tmp_path) == []
    assert seen["pcie 0000:00:06.0"] == seen["pcie 0000:00:07.0"] == "x16 at 32.0 GT/s PCIe"
    assert (seen["memory"], seen["numa"]) == ("251.1 of 251.8 GiB free", "1 node")


def test_little_memory_fails(tmp_path: Path) -> None:
    less = SOUND["proc/meminfo"].replace("1000000000", "  50000000")
    write(tmp_path, SOUND | {"proc/meminfo": less})
    assert (found(tmp_path)["memory"].level, found(tmp_path)["memory"].expected) == ("fail", "at least 10%")


def test_a_cgroup_that_is_nearly_full_fails_however_much_the_host_has(tmp_path: Path) -> None:
    limit = {"sys/fs/cgroup/memory.max": f"{8 << 30}\n"}
    write(tmp_path, SOUND | limit | {"sys/fs/cgroup/memory.current": f"{(8 << 30) - (10 << 20)}\n"})
    full = found(tmp_path)["cgroup memory"]
    assert (full.level, full.seen, full.expected) == ("fail", "0.0 of 8.0 GiB free", "at least 10%")
    write(tmp_path, {"sys/fs/cgroup/memory.current": f"{1 << 30}\n"})
    assert found(tmp_path)["cgroup memory"].seen == "7.0 of 8.0 GiB free"
    assert warned(tmp_path) == []


def test_clock_rates_that_save_power_and_pages_that_move_are_warnings(tmp_path: Path) -> None:
    governor = {"sys/devices/system/cpu/cpu7/cpufreq/scaling_governor": "powersave\n"}
    write(tmp_path, SOUND | governor | {"proc/sys/kernel/numa_balancing": "1\n"})
    assert warned(tmp_path) == ["numa balancing", "governor"]


def test_a_card_that_lost_lanes_is_named_and_one_that_only_idles_is_not(tmp_path: Path) -> None:
    assert warned(write(tmp_path / "lanes", SOUND | card("8", "32.0 GT/s PCIe"))) == ["pcie 0000:1b:00.0"]
    assert warned(write(tmp_path / "idle", SOUND | card("16", "2.5 GT/s PCIe"))) == []
    assert warned(write(tmp_path / "nic", SOUND | card("16", "16.0 GT/s PCIe", "0x020700"))) == ["pcie 0000:1b:00.0"]


def test_memory_cannot_be_locked_where_there_is_rdma(tmp_path: Path) -> None:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    write(tmp_path, {"sys/class/infiniband/mlx5_0/node_type": "1: CA\n"})
    levels = {finding.name: finding.level for finding in hosts.check(tmp_path).findings}
    assert levels["locked memory"] == ("info" if limit == resource.RLIM_INFINITY else "fail")


def test_this_machine_can_be_read() -> None:
    findings = hosts.check().findings
    assert {"memory", "cores", "numa", "governor", "open files", "locked memory"} <= {f.name for f in findings}
    assert all(f.expected and f.mend for f in findings if f.level != "info")
