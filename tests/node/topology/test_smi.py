"""What the vendors' tools print of links.

Those of nvidia-smi for two H200s are recorded. For more GPUs and for adapters they are made here in that format, and
AMD's in the formats that documentation and source give: `rocm-smi --showtopo --json` (rocm_smi.py's names of its
values); `amd-smi topology --json` (amd-smi's change log, ROCm 6.1.1).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from primus.node.topology import smi, sysfs, tools

from .. import recorded
from . import machines

HEAD = "\t\x1b[4mGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m\n"
MATRIX = (
    HEAD
    + "GPU0\t X \tNV18\tNV18\tNV18\tPIX\tSYS\t0-15,32-47\t0\t\tN/A\n"
    + "GPU1\tNV18\t X \tNV18\tNV18\tNODE\tSYS\t0-15,32-47\t0\t\tN/A\n"
    + "GPU2\tNV18\tNV18\t X \tNV18\tSYS\tPXB\t16-31,48-63\t1\t\tN/A\n"
    + "GPU3\tNV18\tNV18\tNV18\t X \tSYS\tNODE\t16-31,48-63\t1\t\tN/A\n"
    + "NIC0\tPIX\tNODE\tSYS\tSYS\t X \tSYS\t\t\t\t\n"
    + "NIC1\tSYS\tSYS\tPXB\tNODE\tSYS\t X \t\t\t\t\n"
    + """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NV#  = Connection traversing a bonded set of # NVLinks

NIC Legend:

  NIC0: mlx5_0
  NIC1: mlx5_3

"""
)
BY_HAND = """        GPU0    GPU1    mlx5_0  CPU Affinity
GPU0     X      PHB     SYS     0-63
GPU1    PHB      X      SYS     0-63
mlx5_0  SYS     SYS      X
"""
ONE = "\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t0-15\t0\t\tN/A\n"


def nvlinks(*speeds: Sequence[str]) -> str:
    """What `nvidia-smi nvlink -s` prints of GPUs whose links are so fast."""
    return "".join(
        f"GPU {gpu}: NVIDIA H200 (UUID: GPU-{gpu})\n" + "".join(f"\t Link {n}: {told}\n" for n, told in enumerate(of))
        for gpu, of in enumerate(speeds)
    )


def rocm(kind: str, gpus: int = 4) -> str:
    """What rocm-smi prints of GPUs that are joined so."""
    pairs = [(one, other) for one in range(gpus) for other in range(one + 1, gpus)]
    system = {f"(Topology) Link type between DRM devices {one} and {other}": kind for one, other in pairs}
    system |= {f"(Topology) Weight between DRM devices {one} and {other}": "15" for one, other in pairs}
    cards = {f"card{n}": {"(Topology) Numa Node": "0", "(Topology) Numa Affinity": "0"} for n in range(gpus)}
    return json.dumps({"system": system, **cards})


def amd(addresses: Sequence[str], kind: str = "XGMI") -> str:
    """What amd-smi prints of GPUs at these addresses."""

    def link(gpu: int, own: bool) -> dict[str, object]:
        return {"gpu": gpu, "bdf": addresses[gpu], "weight": 0 if own else 15, "link_status": "ENABLED",
                "link_type": "SELF" if own else kind, "num_hops": 0 if own else 1, "bandwidth": "N/A"}  # fmt: skip

    gpus = range(len(addresses))
    return json.dumps(
        [{"gpu": gpu, "bdf": addresses[gpu], "links": [link(other, gpu == other) for other in gpus]} for gpu in gpus]
    )


def test_the_matrix_of_nvidia_smi_names_adapters_as_the_system_does() -> None:
    found = smi.nvidia_matrix(MATRIX)
    assert found["GPU0", "GPU3"] == found["GPU3", "GPU0"] == "NV18"
    assert (found["GPU0", "mlx5_0"], found["mlx5_3", "GPU2"], found["mlx5_0", "mlx5_3"]) == ("PIX", "PXB", "SYS")
    assert len(found) == 6 * 5


def test_older_matrices_have_the_names_of_adapters_themselves() -> None:
    assert smi.nvidia_matrix(BY_HAND)["GPU1", "mlx5_0"] == "SYS"


def test_one_gpu_has_no_links() -> None:
    assert smi.nvidia_matrix(ONE) == {}


def test_the_matrix_of_two_h200s_without_adapters_is_read_below_its_escape_codes() -> None:
    text = recorded.text("topo-m.txt")
    assert text.startswith("\t\x1b[4mGPU0\t")
    assert smi.nvidia_matrix(text) == {("GPU0", "GPU1"): "NV18", ("GPU1", "GPU0"): "NV18"}


def test_nvlinks_that_are_up_and_down() -> None:
    text = recorded.text("nvlink-s.txt")
    assert smi.nvidia_links(text) == {name: smi.NvLinks((26.562,) * 18, 0) for name in ("GPU0", "GPU1")}
    one_down = text.replace("Link 17: 26.562 GB/s", "Link 17: <inactive>", 1)
    assert smi.nvidia_links(one_down)["GPU0"] == smi.NvLinks((26.562,) * 17, 1)
    assert smi.nvidia_links(f"{text}GPU 2: NVIDIA L4 (UUID: GPU-2)\n")["GPU2"] == smi.NvLinks((), 0)


def test_links_by_rocm_smi_and_amd_smi() -> None:
    assert smi.rocm_links(rocm("XGMI"))["GPU1", "GPU3"] == "XGMI"
    assert smi.rocm_links(f"WARNING: AMD GPU is in a low-power state\n{rocm('PCIE', 2)}") == {("GPU0", "GPU1"): "PCIE"}
    found = smi.amd_links(amd(["0000:05:00.0", "0000:26:00.0"]))
    assert found == {("0000:05:00.0", "0000:26:00.0"): "XGMI", ("0000:26:00.0", "0000:05:00.0"): "XGMI"}
    below = json.dumps({"gpu_data": json.loads(amd(["0000:05:00.0", "0000:26:00.0"], "PCIE"))})
    assert set(smi.amd_links(below).values()) == {"PCIE"}


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (smi.nvidia_matrix, "", "begins with GPU0"),
        (smi.nvidia_matrix, "NVIDIA-SMI has failed because it couldn't communicate with the driver.", "begins with"),
        (smi.nvidia_matrix, HEAD, "has a head and no lines"),
        (smi.nvidia_matrix, HEAD + "GPU0\t X \tNV18\n", "the line of GPU0 .* has no link for each"),
        (smi.nvidia_links, "Unable to determine the device handle", "names no GPU"),
        (smi.rocm_links, "", "prints no JSON"),
        (smi.rocm_links, '{"card0": {}}', "has no `system`"),
        (smi.rocm_links, '{"system": {"a": ', "prints no JSON"),
        (smi.amd_links, "{}", "is no list of GPUs"),
        (smi.amd_links, '[{"gpu": 0, "link_type": {"gpu_0": "SELF"}}]', "ROCm before 6.1.1"),
        (smi.amd_links, "[1]", "no links by address"),
    ],
)
def test_output_that_is_none_of_it_is_refused(parse: object, text: str, message: str) -> None:
    assert callable(parse)
    with pytest.raises(smi.Unread, match=message):
        parse(text)


@pytest.mark.parametrize("cut", range(0, len(MATRIX), 37))
def test_output_that_was_cut_off_is_links_or_refused(cut: int) -> None:
    try:
        found = smi.nvidia_matrix(MATRIX[:cut])
    except smi.Unread:
        return
    assert set(found.values()) <= {"NV18", "PIX", "PXB", "NODE", "SYS"}


class Tools:
    """The tools of a machine: what each command prints; None: it is missing, or hangs."""

    def __init__(self, **told: str | None) -> None:
        self.told, self.asked = {name.replace("_", "-"): text for name, text in told.items()}, list[str]()

    def __call__(self, argv: Sequence[str]) -> str | None:
        self.asked.append(" ".join(argv))
        return self.told.get(argv[0] if argv[0] != "nvidia-smi" else argv[1])


def test_nvlinks_come_into_the_topology(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    told = Tools(topo=MATRIX, nvlink=nvlinks(*[["26.562 GB/s"] * 18] * 4))
    found = tools.complete(sysfs.survey(tmp_path), told)
    between = found.between()
    assert (between["GPU0", "GPU1"], between["GPU3", "GPU0"], between["GPU0", "mlx5_0"]) == ("NV18", "NV18", "PIX")
    assert found.findings == ()


def test_two_h200s_of_a_virtual_machine_are_joined_by_nvlink(tmp_path: Path) -> None:
    told = Tools(topo=recorded.text("topo-m.txt"), nvlink=recorded.text("nvlink-s.txt"))
    found = tools.complete(sysfs.survey(recorded.tree(tmp_path)), told)
    assert [(link.one, link.other, link.kind) for link in found.links] == [
        ("GPU0", "GPU1", "NV18"), ("GPU0", "eth0", "PHB"), ("GPU1", "eth0", "PHB"),
    ]  # fmt: skip
    assert found.findings == ()


def test_the_tools_are_asked_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = recorded.nvidia_smi(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = tools.survey(recorded.tree(tmp_path / "root"))
    assert (found.between()["GPU1", "GPU0"], found.findings) == ("NV18", ())


def test_a_gpu_whose_links_are_down_is_named(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    links = nvlinks(*[["26.562 GB/s"] * 18] * 3, ["26.562 GB/s"] * 16 + ["<inactive>"] * 2)
    found = tools.complete(sysfs.survey(tmp_path), Tools(topo=MATRIX, nvlink=links)).findings
    assert [(finding.name, finding.seen) for finding in found] == [
        ("GPU3", "2 NVLinks are down"),
        ("NVLinks", "GPU0, GPU1, GPU2: 18 of 478.116 GB/s; GPU3: 16 of 424.992 GB/s"),
    ]


def test_a_tool_that_is_missing_or_broken_is_a_finding_and_the_bus_still_tells(tmp_path: Path) -> None:
    machines.h200(tmp_path)
    found = tools.complete(sysfs.survey(tmp_path), Tools(topo="Segmentation fault", nvlink=None))
    assert found.between()["GPU0", "GPU2"] == "SYS"
    assert [finding.name for finding in found.findings] == ["nvidia-smi topo -m", "nvidia-smi nvlink -s"]
    other = tools.complete(sysfs.survey(tmp_path), Tools(topo=BY_HAND, nvlink=nvlinks([], [], [], [])))
    (finding,) = other.findings
    assert (finding.seen, finding.expected) == ("2 GPUs", "4, as the driver's files have")


def test_amd_tools_are_asked_where_the_kernel_does_not_say(tmp_path: Path) -> None:
    machines.mi300x(tmp_path)
    silent = Tools()
    assert tools.complete(sysfs.survey(tmp_path), silent).findings == ()
    assert silent.asked == []
    for path in tmp_path.glob("sys/class/kfd/kfd/topology/nodes/*/io_links/*/properties"):
        path.unlink()
    addresses = [gpu.pci.address for gpu in sysfs.survey(tmp_path).gpus]
    for told in (Tools(amd_smi=amd(addresses)), Tools(rocm_smi=rocm("XGMI"))):
        found = tools.complete(sysfs.survey(tmp_path), told)
        assert {link.kind for link in found.links} == {"XGMI"}
    assert [finding.name for finding in found.findings] == ["amd-smi topology --json"]
    pcie = tools.complete(sysfs.survey(tmp_path), Tools(amd_smi=amd(addresses, "PCIE")))
    assert {link.kind for link in pcie.links} == {"NODE", "SYS"}
