"""Sound and sick GPUs, by what nvidia-smi and the amdgpu driver say of them.

The columns are those of `nvidia-smi --help-query-gpu`, the files those of docs.kernel.org/gpu/amdgpu.
"""

from pathlib import Path

import pytest

from primus.node.checks import amd, nvidia
from primus.node.checks.finding import Finding, Notes
from primus.node.checks.nvidia import Answers
from primus.node.devices import Devices

from .trees import write

TWO = Devices("nvidia", "NVIDIA H200", 2, ("0", "1"), "580.95.05")
SOUND = "{0}, GPU-{0}, NVIDIA H200, 96.00.BC.00.03, 4, 143771, 0, [N/A], 0x0000000000000001, 31"


def judged(answers: Answers, found: Devices = TWO) -> dict[str, Finding]:
    notes = Notes("gpu")
    nvidia.check(answers, found, notes)
    return {finding.name: finding for finding in notes.findings if finding.level != "info"}


def answers(*lines: str, rows: str = "", apps: str = "") -> Answers:
    return Answers("\n".join(lines) + "\n", rows, apps, 0.2)


def test_sound_gpus_have_nothing_to_mend() -> None:
    rows = "GPU-0, 0, No, No\nGPU-1, 0, No, No\n"
    assert judged(answers(SOUND.format(0), SOUND.format(1), rows=rows)) == {}


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (" 4,", " 9216,", "gpu 1 memory in use"),
        (" 0, [N/A]", " 2, [N/A]", "gpu 1 ecc"),
        ("[N/A]", "Yes", "gpu 1 retired pages"),
        ("0x0000000000000001", "0x0000000000000040", "gpu 1 throttled"),
    ],
)
def test_what_ails_a_gpu_is_named(old: str, new: str, name: str) -> None:
    assert [*judged(answers(SOUND.format(0), SOUND.format(1).replace(old, new)))] == [name]


def test_rows_that_wait_for_a_reset_and_rows_that_cannot_be_remapped_fail() -> None:
    bad = judged(answers(SOUND.format(0), SOUND.format(1), rows="GPU-0, 1, Yes, No\nGPU-1, 9, No, Yes\n"))
    assert {name: finding.seen for name, finding in bad.items()} == {
        "gpu 0 row remapping": "pending",
        "gpu 1 row remapping": "failed",
    }


def test_a_process_of_somebody_else_is_named() -> None:
    (bad,) = judged(answers(SOUND.format(0), SOUND.format(1), apps="GPU-1, 4711, python3, 5120\n")).values()
    assert bad.seen == "process 4711 (python3) holds 5120 MiB"


def test_gpus_of_other_jobs_are_not_judged() -> None:
    one = Devices("nvidia", "NVIDIA H200", 1, ("0",), "580.95.05")
    assert judged(answers(SOUND.format(0), SOUND.format(1).replace(" 4,", " 9216,")), one) == {}


@pytest.mark.parametrize("said", ["", "No devices were found\n", "Unable to determine the device handle\n" * 3])
def test_broken_output_is_a_finding(said: str) -> None:
    assert judged(Answers(said, None, None, 0.1))["nvidia-smi"].level == "warn"


def test_a_tool_that_is_missing_is_a_warning_and_one_that_hangs_a_failure() -> None:
    assert judged(Answers(None, None, None, 0.1))["nvidia-smi"].level == "warn"
    assert judged(Answers(None, None, None, 10.2))["nvidia-smi"].seen == "no answer in 10 s"


def test_amd_gpus_are_judged_by_the_drivers_files(tmp_path: Path) -> None:
    for n, used in enumerate((296 << 20, 90 << 30)):
        at = f"sys/class/drm/card{n}/device"
        memory = {f"{at}/mem_info_vram_total": f"{192 << 30}\n", f"{at}/mem_info_vram_used": f"{used}\n"}
        write(tmp_path, memory | {f"{at}/vendor": "0x1002\n", f"{at}/vbios_version": "113-M3000100-102\n"})
        write(tmp_path, {f"{at}/ras/umc_err_count": f"ue: {n}\nce: 7\n", f"{at}/ras/gfx_err_count": "ue: 0\nce: 0\n"})
    write(tmp_path, {"sys/class/drm/card1/device/ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : P\n"})
    write(tmp_path, {"sys/class/drm/card9/device/vendor": "0x1a03\n"})
    write(tmp_path, {"sys/class/kfd/kfd/proc/4711/pasid": "32\n", "proc/4711/comm": "python3\n"})
    notes = Notes("gpu")
    amd.check(tmp_path, notes)
    assert {f.name: f.seen for f in notes.findings if f.level == "fail"} == {
        "gpu 1 memory in use": f"{90 << 10} of {192 << 10} MiB",
        "gpu 1 ecc": "uncorrectable errors: 1 in umc",
        "gpu 1 retired pages": "1 retired, not all of them yet",
        "foreign process": "process 4711 (python3) uses a GPU",
    }
    assert [fact.value for fact in notes.facts] == ["113-M3000100-102"]
