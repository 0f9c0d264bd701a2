"""Sound and sick GPUs, by what nvidia-smi and the amdgpu driver say of them.

What nvidia-smi says of sound GPUs is recorded, the sick ones are made of it; AMD's files are those of
docs.kernel.org/gpu/amdgpu.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from primus.node.checks import gpus, nvidia
from primus.node.checks.finding import Finding, Notes, Settings
from primus.node.checks.nvidia import Answers
from primus.node.devices import Devices

from .. import recorded
from ..topology import machines
from .trees import write

TWO = Devices("nvidia", "NVIDIA H200", 2, ("0", "1"), "580.159.04")
FIRST, SECOND = recorded.text("query-gpu.csv").splitlines()
ROWS = recorded.text("query-remapped-rows.csv")
IDS = [line.split(", ")[1] for line in (FIRST, SECOND)]
SETTINGS = Settings("run", 60.0, ("gpu",), "auto", 2, (), (), 10.0, 0, None, (), False, None)


def judged(answers: Answers, found: Devices = TWO) -> dict[str, Finding]:
    notes = Notes("gpu")
    nvidia.check(answers, found, notes)
    return {finding.name: finding for finding in notes.findings if finding.level != "info"}


def answers(*lines: str, rows: str = "", apps: str = "") -> Answers:
    return Answers("\n".join(lines) + "\n", rows, apps, 0.2)


def test_two_sound_h200s_have_nothing_to_mend_and_a_line_says_so_of_each_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded.nvidia_smi(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = gpus.check(SETTINGS, os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"}, recorded.tree(tmp_path / "root"))
    assert {finding.name: (finding.level, finding.seen) for finding in found.findings} == {
        "count": ("info", "2 x NVIDIA H200"),
        "gpu 0 memory in use": ("info", "0 of 143771 MiB"),
        "gpu 1 memory in use": ("info", "0 of 143771 MiB"),
        "ecc": ("info", "no uncorrectable errors since the last reset"),
        "row remapping": ("info", "none pending, none failed"),
        "throttled": ("info", "none, at most 34 C"),
        "foreign process": ("info", "none"),
    }
    assert {fact.name: fact.value for fact in found.facts} == {
        "gpus": "2 x NVIDIA H200",
        "driver": "580.159.04",
        "gpu firmware": "96.00.A5.00.1A",
    }


def test_pages_that_an_h200_does_not_retire_are_no_finding() -> None:
    assert FIRST.split(", ")[7] == "[N/A]"
    assert judged(answers(FIRST, SECOND, rows=ROWS)) == {}


def test_what_a_gpu_does_not_count_is_not_called_well() -> None:
    notes = Notes("gpu")
    nvidia.check(answers(FIRST, SECOND.replace("143771, 0, [N/A]", "143771, [N/A], [N/A]")), TWO, notes)
    seen = {finding.name: finding.seen for finding in notes.findings}
    assert seen["ecc"] == seen["row remapping"] == "the driver does not say"


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (" 0, 143771", " 9216, 143771", "gpu 1 memory in use"),
        (" 0, [N/A]", " 2, [N/A]", "gpu 1 ecc"),
        ("[N/A]", "Yes", "gpu 1 retired pages"),
        ("0x0000000000000001", "0x0000000000000040", "gpu 1 throttled"),
    ],
)
def test_what_ails_a_gpu_is_named(old: str, new: str, name: str) -> None:
    told = answers(FIRST, SECOND.replace(old, new), rows=ROWS)
    assert [*judged(told)] == [name]
    notes = Notes("gpu")
    nvidia.check(told, TWO, notes)
    assert name.removeprefix("gpu 1 ") not in [finding.name for finding in notes.findings], "not well on all of them"


def test_rows_that_wait_for_a_reset_and_rows_that_cannot_be_remapped_fail() -> None:
    bad = judged(answers(FIRST, SECOND, rows=f"{IDS[0]}, 1, Yes, No\n{IDS[1]}, 9, No, Yes\n"))
    assert {name: finding.seen for name, finding in bad.items()} == {
        "gpu 0 row remapping": "pending",
        "gpu 1 row remapping": "failed",
    }


def test_a_process_of_somebody_else_is_named() -> None:
    (bad,) = judged(answers(FIRST, SECOND, apps=f"{IDS[1]}, 4711, python3, 5120\n")).values()
    assert bad.seen == "process 4711 (python3) holds 5120 MiB"


def test_a_process_whose_name_holds_commas_is_named_too() -> None:
    (bad,) = judged(answers(FIRST, SECOND, apps=f"{IDS[1]}, 4711, python3 -c import a, b, 5120\n")).values()
    assert bad.seen == "process 4711 (python3 -c import a, b) holds 5120 MiB"


@pytest.mark.parametrize("line", ["Unable to determine the device handle for GPU0000:1B:00.0: Unknown Error", ""])
def test_a_gpu_of_which_nvidia_smi_says_nothing_is_lost_and_nothing_is_called_well(line: str) -> None:
    notes = Notes("gpu")
    nvidia.check(answers(FIRST, line, rows=ROWS), TWO, notes)
    (bad,) = [finding for finding in notes.findings if finding.level != "info"]
    assert (bad.name, bad.level, bad.seen) == ("gpu 1 lost", "fail", line or "nvidia-smi leaves it out")
    seen = {finding.name: finding.seen for finding in notes.findings}
    for name in ("ecc", "row remapping", "throttled", "foreign process"):
        assert seen[name] == "the driver does not say"


@pytest.mark.parametrize(("said", "names"), [("[Unknown Error]", ["gpu 1 lost"]), ("[N/A]", [])])
def test_a_gpu_whose_memory_cannot_be_read_is_lost_unless_it_has_none_of_its_own(said: str, names: list[str]) -> None:
    assert [*judged(answers(FIRST, SECOND.replace(" 0, 143771", f" {said}, {said}"), rows=ROWS))] == names


def test_gpus_of_other_jobs_are_not_judged() -> None:
    one = Devices("nvidia", "NVIDIA H200", 1, ("0",), "580.159.04")
    assert judged(answers(FIRST, SECOND.replace(" 0, 143771", " 9216, 143771")), one) == {}


@pytest.mark.parametrize("said", ["", "No devices were found\n", "Unable to determine the device handle\n" * 3])
def test_broken_output_is_a_finding(said: str) -> None:
    assert judged(Answers(said, None, None, 0.1))["nvidia-smi"].level == "warn"


def test_a_tool_that_is_missing_is_a_warning_and_one_that_hangs_a_failure() -> None:
    assert judged(Answers(None, None, None, 0.1))["nvidia-smi"].level == "warn"
    assert judged(Answers(None, None, None, 10.2))["nvidia-smi"].seen == "no answer in 10 s"


def amd_node(root: Path) -> Path:
    """Two sockets with two MI300X each, of which the last is in use and sick."""
    machines.mi300x(root)
    for n, bus in enumerate(("06", "27", "86", "a7")):
        at, sick = f"sys/bus/pci/devices/0000:{bus}:00.0", int(n == 3)
        memory = {f"{at}/mem_info_vram_total": f"{192 << 30}\n", f"{at}/mem_info_vram_used": f"{90 * sick << 30}\n"}
        write(root, memory | {f"{at}/vbios_version": "113-M3000100-102\n"})
        write(root, {f"{at}/ras/umc_err_count": f"ue: {sick}\nce: 7\n", f"{at}/ras/gfx_err_count": "ue: 0\nce: 0\n"})
        write(root, {f"sys/class/kfd/kfd/topology/nodes/{n + 2}/gpu_id": f"{1000 + n}\n"})
        write(root, {f"sys/class/kfd/kfd/proc/4711/vram_{1000 + n}": f"{sick * 5 << 30}\n"})
    write(root, {"sys/bus/pci/devices/0000:a7:00.0/ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : P\n"})
    return write(root, {"proc/4711/comm": "python3\n"})


def found_in(root: Path, **environ: str) -> Notes:
    return gpus.check(replace(SETTINGS, gpus=None), environ, root)


def test_amd_gpus_are_judged_by_the_drivers_files(tmp_path: Path) -> None:
    notes = found_in(amd_node(tmp_path))
    assert {f.name: f.seen for f in notes.findings if f.level == "fail"} == {
        "gpu 3 memory in use": f"{90 << 10} of {192 << 10} MiB",
        "gpu 3 ecc": "uncorrectable errors: 1 in umc",
        "gpu 3 retired pages": "1 retired, not all of them yet",
        "gpu 3 foreign process": "process 4711 (python3) holds 5120 MiB",
    }
    assert "113-M3000100-102" in [fact.value for fact in notes.facts]


def test_amd_gpus_of_other_jobs_are_not_judged_and_are_numbered_as_hip_does(tmp_path: Path) -> None:
    amd_node(tmp_path)
    well = {"gpu 0 memory in use", "gpu 1 memory in use", "ecc", "foreign process"}
    notes = found_in(tmp_path, HIP_VISIBLE_DEVICES="0,1")
    assert well <= {f.name for f in notes.findings}
    assert {f.level for f in notes.findings} == {"info"}
    notes = found_in(tmp_path, ROCR_VISIBLE_DEVICES="2,3")
    assert {f.name[:5] for f in notes.findings if f.level == "fail"} == {"gpu 1"}


def test_a_process_of_which_an_old_kernel_does_not_say_what_it_uses_is_named(tmp_path: Path) -> None:
    machines.mi300x(tmp_path)
    write(tmp_path, {"sys/class/kfd/kfd/proc/4711/pasid": "32\n", "proc/4711/comm": "python3\n"})
    (bad,) = [finding for finding in found_in(tmp_path).findings if finding.level == "fail"]
    assert (bad.name, bad.seen) == ("foreign process", "process 4711 (python3) uses a GPU")


def test_what_was_looked_at_on_amd_gpus_and_is_well_has_a_line(tmp_path: Path) -> None:
    machines.mi300x(tmp_path)
    at = "sys/bus/pci/devices/0000:06:00.0"
    write(tmp_path, {f"{at}/mem_info_vram_total": f"{192 << 30}\n", f"{at}/ras/umc_err_count": "ue: 0\nce: 0\n"})
    notes = found_in(tmp_path, HIP_VISIBLE_DEVICES="0")
    assert {finding.name: (finding.level, finding.seen) for finding in notes.findings} == {
        "count": ("info", "1 x AMD Instinct MI300X"),
        "gpu 0 memory in use": ("info", f"0 of {192 << 10} MiB"),
        "ecc": ("info", "no uncorrectable errors"),
        "retired pages": ("info", "the driver does not say"),
        "foreign process": ("info", "the driver does not say"),
    }
