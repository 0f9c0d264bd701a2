"""A run travels in one file, and reading a stranger's file does nothing but read it."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from primus.launch.problems import BadRequest
from primus.launch.replaying import archive, finding

from ...conftest import everything


def members(file: Path) -> dict[str, bytes]:
    with archive._reading(file) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]  # files only


def refusal(file: Path) -> str:
    with pytest.raises(BadRequest) as refused:
        finding.from_archive(file)
    return str(refused.value)


def tar_of(file: Path, *files: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for info, content in files:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


@pytest.mark.parametrize("ending", archive.ENDINGS)
def test_what_describes_a_run_is_packed_and_nothing_else(recorded: Path, ending: str) -> None:
    (recorded / "checkpoints").mkdir()
    (recorded / "checkpoints/step-1.pt").write_bytes(b"large")
    (recorded / ".hidden").write_text("left over by a write that was cut off")
    archive.pack(recorded, Path(f"x{ending}"), everything=False)
    packed = members(Path(f"x{ending}"))
    assert {"plan.json", "config.yaml", "nodes/0.json", "logs/launch.log"} <= {n.split("/", 1)[1] for n in packed}
    assert not [name for name in packed if "checkpoints" in name or "hidden" in name]
    assert packed[f"{recorded.name}/plan.json"] == (recorded / "plan.json").read_bytes()


def test_checkpoints_are_packed_when_asked_for(recorded: Path) -> None:
    (recorded / "checkpoints").mkdir()
    (recorded / "checkpoints/step-1.pt").write_bytes(b"large")
    archive.pack(recorded, Path("x.tar.gz"), everything=True)
    assert members(Path("x.tar.gz"))[f"{recorded.name}/checkpoints/step-1.pt"] == b"large"


def test_another_ending_is_refused(recorded: Path) -> None:
    with pytest.raises(BadRequest, match=r"to=x\.zip: the file must end in one of \.tar\.gz, \.tgz, \.tar\.zst"):
        archive.pack(recorded, Path("x.zip"), everything=False)


@pytest.mark.parametrize("to", ["taken/x.tar.gz", "/proc/x.tar.zst"])
def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(recorded: Path, work: Path, to: str) -> None:
    (work / "taken").write_text("a file")
    before = everything(work)
    with pytest.raises(BadRequest, match=rf"^to={to}: cannot be written: "):
        archive.pack(recorded, Path(to), everything=False)
    assert everything(work) == before


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.zst"])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_file_is_refused(recorded: Path, ending: str, how: str) -> None:
    file = Path(f"x{ending}")
    archive.pack(recorded, file, everything=False)
    content = bytearray(file.read_bytes())
    if how == "cut":
        del content[len(content) // 3 :]
    else:
        for i in range(len(content) // 3, len(content) // 3 + 64):
            content[i] ^= 0xFF
    file.write_bytes(content)
    assert refusal(file).startswith(f"{file} is no ")


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"no tar", mtime=0), b"\x28\xb5\x2f\xfdno frame"])
def test_what_is_no_archive_is_refused(work: Path, content: bytes) -> None:
    Path("x.tar.gz").write_bytes(content)
    assert refusal(Path("x.tar.gz")).startswith("x.tar.gz is no ")


def test_an_archive_of_something_else_is_refused_by_what_it_lacks(work: Path) -> None:
    file = tar_of(Path("x.tar.gz"), (tarfile.TarInfo("a/b.txt"), b"x"))
    assert refusal(file) == "x.tar.gz is no run that can be read: plan.json: missing"


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


@pytest.mark.parametrize(
    "name", ["../../escaped", "/tmp/primus-escaped", "run/../../escaped", "run/nodes/../../../escaped", ".."]
)
def test_a_name_that_leads_out_of_the_run_is_refused_and_nothing_is_written(
    work: Path, tmp_path: Path, name: str
) -> None:
    file = tar_of(Path("x.tar.gz"), entry(name))
    before = everything(tmp_path)
    assert (
        refusal(file) == f"x.tar.gz is no exported run: {name!r} would lie outside of the folder that it is unpacked in"
    )
    assert everything(tmp_path) == before
    assert not Path("/tmp/primus-escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("to", ["/etc/hostname", "../../etc/hostname", "run/../../x"])
def test_links_that_lead_out_of_the_run_are_refused(work: Path, kind: bytes, to: str) -> None:
    file = tar_of(Path("x.tar.gz"), entry("run/plan.json", kind, f"../{to}" if kind == tarfile.SYMTYPE else to))
    assert "outside of the run" in refusal(file)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(work: Path, kind: bytes) -> None:
    said = refusal(tar_of(Path("x.tar.gz"), entry("run/plan.json", kind)))
    assert said == "x.tar.gz is no exported run: 'run/plan.json' is neither a file nor a folder nor a link"


def test_links_inside_of_a_frozen_source_are_not_followed_and_no_hindrance(work: Path) -> None:
    links = [entry("run/code/source/a", tarfile.SYMTYPE, "../source/b"), entry("run/plan.json", tarfile.SYMTYPE, "b")]
    assert archive.texts(tar_of(Path("x.tar.gz"), *links)) == {}


def test_links_that_lead_out_of_a_run_are_not_packed(recorded: Path) -> None:
    (recorded / "logs/stolen.log").symlink_to("/etc/hostname")
    archive.pack(recorded, Path("x.tar.gz"), everything=False)
    with archive._reading(Path("x.tar.gz")) as tar:
        assert not [name for name in tar.getnames() if "stolen" in name]


def test_members_that_are_too_large_for_a_plan_are_not_read(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.sound, "LARGEST", 1000)
    nodes = [(tarfile.TarInfo(f"run/nodes/{n}.json"), b"x" * 600) for n in range(2)]
    assert refusal(tar_of(Path("x.tar.gz"), *nodes)) == "x.tar.gz is no exported run: 'run/nodes/1.json' is too large"


def test_a_bomb_is_refused_before_it_is_unpacked(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.sound, "LARGEST", 1000)
    file = tar_of(Path("x.tar.gz"), (tarfile.TarInfo("run/metrics/rank-0.jsonl"), b"\0" * (1 << 20)))
    assert "more than 200 times as large" in refusal(file)


def test_a_second_plan_is_no_way_past_the_first(work: Path) -> None:
    said = refusal(tar_of(Path("x.tar.gz"), entry("run/plan.json"), entry("run/plan.json")))
    assert said == "x.tar.gz is no exported run: 'run/plan.json' is there twice"


def test_long_metrics_are_no_hindrance(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.sound, "LARGEST", 100_000)
    file = tar_of(Path("x.tar.gz"), (tarfile.TarInfo("run/metrics/rank-0.jsonl"), os.urandom(100_001)))
    assert archive.texts(file) == {}
