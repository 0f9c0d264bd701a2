"""RDMA ports, on trees of sysfs as machines have them."""

from pathlib import Path

import pytest

from primus.node import environment, prepare, rdma
from primus.node.devices import NONE, Devices
from primus.node.environment import World
from primus.node.plan import SCHEMA, Code, Job, Layer, Plan, Variable

H200 = Devices("nvidia", "NVIDIA H200", 8, tuple("01234567"), "580")
MI300X = Devices("amd", "AMD Instinct MI300X", 8, tuple("01234567"), "6.14")
IPV4 = "0000:0000:0000:0000:0000:ffff:0ac8:{:04x}"
IPV6 = "fd00:0000:0000:0000:0000:0000:0000:{:04x}"
LOCAL = "fe80:0000:0000:0000:a288:c2ff:fe3b:{:04x}"
MELLANOX, BROADCOM, PENSANDO = "0x15b3", "0x14e4", "0x1dd8"


class Node:
    """The files of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text + "\n")

    def port(
        self,
        device: str,
        vendor: str = MELLANOX,
        layer: str = "InfiniBand",
        rate: str = "400 Gb/sec (4X NDR)",
        state: str = "4: ACTIVE",
        gids: tuple[str, ...] = (),
        interface: str = "",
    ) -> None:
        """As the kernel writes them; `gids` are `v1 <address>` or `v2 <address>`, `{}` the number of the port."""
        self.count += 1
        port = f"sys/class/infiniband/{device}/ports/1"
        self.write(f"sys/class/infiniband/{device}/device/vendor", vendor)
        for name, text in (("state", state), ("rate", rate), ("link_layer", layer)):
            self.write(f"{port}/{name}", text)
        for index, gid in enumerate((*gids, "")):
            kind, _, address = gid.partition(" ")
            self.write(f"{port}/gids/{index}", address.format(self.count) or "0000:" * 7 + "0000")
            if gid:  # reading the kind of an entry that is not in use is EINVAL
                self.write(f"{port}/gid_attrs/types/{index}", {"v1": "IB/RoCE v1", "v2": "RoCE v2"}[kind])
                self.write(f"{port}/gid_attrs/ndevs/{index}", interface)

    def route(self, interface: str) -> None:
        head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
        own = f"{interface}\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0"
        self.write("proc/net/route", f"{head}\n{own}\neth9\t0000000A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0")

    def told(self, found: Devices, asked: str | None = None, **base: str) -> dict[str, str]:
        ports = rdma.survey(found.count, self.root)
        return {v.name: v.value or "" for v in rdma.layer(ports, found, asked, base).variables}

    def left_out(self, gpus: int = 8) -> dict[str, str]:
        return {port.name: port.left_out for port in rdma.survey(gpus, self.root) if port.left_out}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def names(prefix: str, count: int = 8) -> str:
    return "=" + ",".join(f"{prefix}{n}:1" for n in range(count))


def roce(node: Node, prefix: str, vendor: str, gids: tuple[str, ...], count: int = 8) -> None:
    for n in range(count):
        rate = "400 Gb/sec (4X NDR)"
        node.port(f"{prefix}{n}", vendor, "Ethernet", rate, gids=gids, interface=f"ens{n}")


def test_a_node_without_rdma_is_told_nothing(node: Node) -> None:
    assert (rdma.survey(8, node.root), node.told(H200)) == ((), {})
    assert rdma.described(()) == "no RDMA port: NCCL uses TCP"


def test_infiniband_is_used_without_the_bonded_ethernet_of_management_and_ports_that_are_down(node: Node) -> None:
    """The ports of a real host of eight H200, a cable of one drawn."""
    for n in (0, 1, 2, 3, 4, 5, 8, 9):
        node.port(f"mlx5_{n}", state="1: DOWN" if n == 9 else "4: ACTIVE")
    node.port("mlx5_bond_0", layer="Ethernet", rate="200 Gb/sec (2X NDR)", gids=(f"v2 {IPV4}",), interface="bond0")
    assert node.told(H200) == {"NCCL_IB_HCA": "=" + ",".join(f"mlx5_{n}:1" for n in (0, 1, 2, 3, 4, 5, 8))}
    assert node.left_out() == {"mlx5_9:1": "down", "mlx5_bond_0:1": "Ethernet beside InfiniBand"}
    described = rdma.described(rdma.survey(8, node.root))
    assert described.endswith("; left out: mlx5_9:1 (down), mlx5_bond_0:1 (Ethernet beside InfiniBand)")


def test_roce_has_the_index_of_the_address_that_is_right_on_every_port(node: Node) -> None:
    roce(node, "bnxt_re", BROADCOM, (f"v1 {LOCAL}", f"v2 {LOCAL}", f"v1 {IPV4}", f"v2 {IPV4}"))
    assert node.told(MI300X) == {"NCCL_IB_HCA": names("bnxt_re"), "NCCL_IB_GID_INDEX": "3"}
    (port, *_) = rdma.survey(8, node.root)
    assert (port.kind, port.layer, port.rate, port.interface) == ("broadcom", "Ethernet", 400, "ens0")


def test_a_fabric_of_ipv6_has_its_own_index_and_one_of_link_local_addresses_too(node: Node) -> None:
    roce(node, "mlx5_", MELLANOX, (f"v1 {LOCAL}", f"v2 {LOCAL}", f"v1 {IPV6}", f"v2 {IPV6}"))
    assert node.told(H200)["NCCL_IB_GID_INDEX"] == "3"
    bare = Node(node.root / "bare")
    roce(bare, "mlx5_", MELLANOX, (f"v1 {LOCAL}", f"v2 {LOCAL}"))
    assert bare.told(H200)["NCCL_IB_GID_INDEX"] == "1"


def test_ports_whose_indices_differ_are_left_to_nccl(node: Node) -> None:
    roce(node, "mlx5_", MELLANOX, (f"v2 {IPV4}",), 2)
    node.port("mlx5_9", layer="Ethernet", gids=(f"v2 {LOCAL}", f"v2 {IPV4}"))
    assert "NCCL_IB_GID_INDEX" not in node.told(H200)


def test_slower_ports_and_those_of_the_default_route_are_of_management_or_storage(node: Node) -> None:
    roce(node, "bnxt_re", BROADCOM, (f"v2 {IPV4}",), 9)
    node.port("mlx5_0", layer="Ethernet", rate="100 Gb/sec (4X EDR)", gids=(f"v2 {IPV4}",), interface="ens100")
    node.route("ens8")
    assert node.left_out() == {
        "bnxt_re8:1": "has the default route, and there is a port for each GPU without it",
        "mlx5_0:1": "slower than the others",
    }
    assert "bnxt_re8:1" not in node.left_out(gpus=9)


def test_a_network_of_bonds_alone_is_used(node: Node) -> None:
    for n in range(4):
        node.port(f"mlx5_bond_{n}", layer="Ethernet", gids=(f"v2 {IPV4}",), interface=f"bond{n}")
        node.write(f"sys/class/net/bond{n}/bonding/mode", "802.3ad 4")
    node.route("bond0")
    assert node.left_out() == {}
    node.port("mlx5_0", layer="Ethernet", gids=(f"v2 {IPV4}",), interface="ens1")
    assert set(node.left_out()) == {f"mlx5_bond_{n}:1" for n in range(4)}


def test_rccl_is_told_of_amds_own_adapters_and_of_nothing_that_their_switches_decide(node: Node) -> None:
    roce(node, "ionic_", PENSANDO, (f"v2 {LOCAL}", f"v2 {IPV6}"))
    expected = {"NCCL_IB_HCA": names("ionic_"), "NCCL_IB_GID_INDEX": "1", "RCCL_AINIC_ROCE": "1"}
    assert node.told(MI300X) == expected
    assert "RCCL_AINIC_ROCE" not in node.told(H200)


def test_what_a_site_has_set_for_its_nodes_stays(node: Node) -> None:
    roce(node, "bnxt_re", BROADCOM, (f"v2 {IPV4}",))
    assert node.told(MI300X, NCCL_IB_GID_INDEX="5") == {"NCCL_IB_HCA": names("bnxt_re")}


def test_the_index_is_that_of_the_ports_that_the_user_names(node: Node) -> None:
    roce(node, "bnxt_re", BROADCOM, (f"v2 {IPV4}",))
    node.port("mlx5_0", layer="Ethernet", rate="100 Gb/sec (4X EDR)", gids=(f"v2 {LOCAL}", f"v2 {IPV4}"))
    assert node.told(MI300X, "=bnxt_re0,bnxt_re1:1") == {"NCCL_IB_GID_INDEX": "0"}
    assert node.told(MI300X, "=mlx5_0") == {"NCCL_IB_GID_INDEX": "1"}


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        ("mlx5_1", ["mlx5_1:1", "mlx5_10:1"]),
        ("=mlx5_1", ["mlx5_1:1"]),
        ("=mlx5_1:2", []),
        ("^=mlx5_1", ["mlx5_0:1", "mlx5_10:1"]),
        ("=mlx5_0:1,mlx5_10", ["mlx5_0:1", "mlx5_10:1"]),
    ],
)
def test_a_list_of_ports_is_read_as_nccl_does(listed: str, chosen: list[str]) -> None:
    ports = [rdma.Port(f"mlx5_{n}:1", "mellanox", "InfiniBand", "ACTIVE", 400) for n in (0, 1, 10)]
    assert [port.name for port in ports if rdma.named(port, listed)] == chosen


def plan(*layers: Layer, nodes: int = 2, network: bool = True) -> Plan:
    job = Job(nodes, None, ("true",), "/", "auto", {}, "0", 10.0, 0.0, network=network)
    return Plan(SCHEMA, "r", "/r", "command", "", {}, (), Code("/", None), job, layers, (), ())


def test_the_network_is_looked_for_where_nodes_with_gpus_have_one_between_them(node: Node) -> None:
    roce(node, "bnxt_re", BROADCOM, (f"v2 {IPV4}",))
    assert len(prepare.ports_of(plan(), MI300X, node.root)) == 8
    assert prepare.ports_of(plan(nodes=1), MI300X, node.root) == ()
    assert prepare.ports_of(plan(network=False), MI300X, node.root) == ()
    assert prepare.ports_of(plan(), NONE, node.root) == ()


def test_the_order_of_precedence_is_that_of_the_design(node: Node) -> None:
    """GPU profile, network, backend, task, hooks, the user's shell, the user: each wins over those before it."""
    roce(node, "bnxt_re", BROADCOM, (f"v1 {LOCAL}", f"v2 {IPV4}"))
    origins = ["gpu profile", "network", "backend", "task", "hooks", "shell", "user"]
    layers = [Layer(o, (Variable("NCCL_IB_GID_INDEX", str(i), o),)) for i, o in enumerate(origins, start=10)]
    ports = rdma.survey(8, node.root)

    def resolved(*given: Layer) -> environment.Resolved:
        found = prepare.variables(plan(*given), Path("/r"), MI300X, World(2, 0, 8), 64, {}, ports)
        return next(v for v in found if v.name == "NCCL_IB_GID_INDEX")

    for last in range(1, len(layers) + 1):
        variable = resolved(*layers[:last])
        detected = "found on the node: RoCE v2 with IPv4 on each of 8 ports"
        expected = [origins[0], detected, *origins[1:last]]
        assert [*(lost.origin for lost in variable.overrode), variable.origin] == expected
