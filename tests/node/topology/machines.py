"""Nodes as trees of kernel files, laid out as the kernel's ABI documents say (Documentation/ABI/testing/sysfs-bus-pci,
sysfs-devices-node, sysfs-class-infiniband, and the KFD driver's kfd_topology.c). Built here, not recorded.
"""

from pathlib import Path


class Machine:
    """A node whose devices are added one by one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU\n")

    def write(self, path: str, text: str) -> None:
        """A file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text + "\n")

    def link(self, path: str, to: str) -> None:
        """A symbolic link to another path of the machine."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).symlink_to(self.root / to)

    def numa(self, number: int, cores: str, gib: int, distance: str) -> None:
        """A NUMA node."""
        node = f"sys/devices/system/node/node{number}"
        self.write(f"{node}/cpulist", cores)
        self.write(f"{node}/meminfo", f"Node {number} MemTotal:       {gib << 20} kB")
        self.write(f"{node}/distance", distance)

    def threads(self, cores: int) -> None:
        """So many physical cores of two threads each: n and n + cores."""
        for core in range(2 * cores):
            siblings = f"{core % cores},{core % cores + cores}"
            self.write(f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list", siblings)

    def pci(self, path: str, numa: int, *, width: int = 16) -> str:
        """A device below `pci0000:17/0000:17:01.0/...`; where it is."""
        where = f"sys/devices/{path}"
        self.write(f"{where}/numa_node", str(numa))
        self.write(f"{where}/current_link_speed", "32.0 GT/s PCIe")
        self.write(f"{where}/max_link_speed", "32.0 GT/s PCIe")
        self.write(f"{where}/current_link_width", str(width))
        self.write(f"{where}/max_link_width", "16")
        self.link(f"sys/bus/pci/devices/{path.rpartition('/')[2]}", where)
        return where

    def nvidia(self, minor: int, path: str, numa: int, *, width: int = 16) -> None:
        """A GPU of NVIDIA."""
        address = self.pci(path, numa, width=width).rpartition("/")[2]
        text = f"Model: \t\t NVIDIA H200\nGPU UUID: \t GPU-{minor:08d}\nDevice Minor: \t {minor}\nGPU Excluded:\t No"
        self.write(f"proc/driver/nvidia/gpus/{address}/information", text)
        self.write(f"dev/nvidia{minor}", "")

    def amd(self, node: int, path: str, numa: int, xgmi: tuple[int, ...]) -> None:
        """A GPU of AMD; `node` is its number with the KFD driver, as those that it has XGMI links to."""
        address = self.pci(path, numa).rpartition("/")[2]
        domain, bus, place = address.split(":")
        slot, function = place.split(".")
        location = int(bus, 16) << 8 | int(slot, 16) << 3 | int(function)
        folder = f"sys/class/kfd/kfd/topology/nodes/{node}"
        self.write(
            f"{folder}/properties",
            f"simd_count 1216\ndevice_id {0x74A1}\nlocation_id {location}\ndomain {int(domain, 16)}\nunique_id {node}",
        )
        for n, to in enumerate((0, *xgmi)):
            kind = 11 if to else 2
            self.write(f"{folder}/io_links/{n}/properties", f"type {kind}\nnode_from {node}\nnode_to {to}\nweight 15")

    def infiniband(self, name: str, path: str, numa: int, *, up: bool = True, layer: str = "InfiniBand") -> None:
        """A host channel adapter."""
        where = self.pci(path, numa)
        self.link(f"sys/class/infiniband/{name}/device", where)
        port = f"sys/class/infiniband/{name}/ports/1"
        self.write(f"{port}/link_layer", layer)
        self.write(f"{port}/state", "4: ACTIVE" if up else "1: DOWN")
        self.write(f"{port}/rate", "400 Gb/sec (4X NDR)")

    def ethernet(self, name: str, path: str, numa: int, *, state: str = "up", speed: str = "25000") -> None:
        """Another network interface."""
        where = self.pci(path, numa)
        self.link(f"sys/class/net/{name}/device", where)
        self.write(f"sys/class/net/{name}/operstate", state)
        self.write(f"sys/class/net/{name}/speed", speed)


def sockets(root: Path) -> Machine:
    """Two sockets of 16 cores."""
    machine = Machine(root)
    machine.numa(0, "0-15,32-47", 512, "10 21")
    machine.numa(1, "16-31,48-63", 512, "21 10")
    machine.threads(32)
    return machine


def h200(root: Path) -> Machine:
    """Two sockets with two GPUs each, every GPU with an adapter below one PCIe switch; and Ethernet."""
    machine = sockets(root)
    for n, (bridge, numa) in enumerate((("17", 0), ("37", 0), ("97", 1), ("b7", 1))):
        bus = int(bridge, 16)
        switch = f"pci0000:{bridge}/0000:{bridge}:01.0/0000:{bus + 1:02x}:00.0"
        machine.nvidia(n, f"{switch}/0000:{bus + 2:02x}:00.0/0000:{bus + 3:02x}:00.0", numa)
        machine.infiniband(f"mlx5_{n}", f"{switch}/0000:{bus + 2:02x}:01.0/0000:{bus + 4:02x}:00.0", numa)
    machine.ethernet("eth0", "pci0000:00/0000:00:1c.0/0000:01:00.0", 0)
    machine.write("sys/class/net/lo/operstate", "unknown")
    return machine


def mi300x(root: Path) -> Machine:
    """Two sockets with two GPUs each, all joined by XGMI."""
    machine = sockets(root)
    machine.write("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 32\nsimd_count 0\ndevice_id 0")
    nodes = (2, 3, 4, 5)
    for n, (node, bus) in enumerate(zip(nodes, ("05", "26", "85", "a6"), strict=True)):
        others = tuple(other for other in nodes if other != node)
        machine.amd(node, f"pci0000:{bus}/0000:{bus}:01.0/0000:{int(bus, 16) + 1:02x}:00.0", n // 2, others)
    return machine
