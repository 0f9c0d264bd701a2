"""The code of a queued job is what it was at submission, kept once, and the user's checkout is only read."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from primus.launch import frozen, place
from primus.launch.frozen import source, storing
from primus.launch.frozen.store import STORE
from primus.launch.problems import BadRequest, Unfit
from primus.launch.replaying import archive

from ...conftest import everything
from ..test_place import checkout, git

__all__ = ["checkout"]  # the fixture


def stored(directory: Path, outputs: Path) -> Path:
    store = outputs / STORE
    store.mkdir(parents=True, exist_ok=True)
    return source.take(directory, store, os.environ)


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # and back at the end
    return tmp_path / "outputs"


def files(directory: Path) -> dict[str, str]:
    return {name: (directory / name).read_text() for name in everything(directory) if (directory / name).is_file()}


def test_tracked_changed_and_new_files_are_taken_as_they_are(checkout: Path, outputs: Path) -> None:
    (checkout / "staged").write_text("1")
    git(checkout, "add", "staged")
    (checkout / "staged").write_text("2")
    (checkout / "inside/file").write_text("changed")
    (checkout / "new").write_text("new")
    (checkout / "new").chmod(0o755)
    (checkout / "leads").symlink_to("new")
    kept = stored(checkout, outputs)
    assert files(kept) == {"inside/file": "changed", "leads": "new", "new": "new", "staged": "2"}
    assert os.access(kept / "new", os.X_OK)
    assert os.readlink(kept / "leads") == "new"


def test_what_is_deleted_is_not_there(checkout: Path, outputs: Path) -> None:
    (checkout / "inside/file").unlink()
    assert files(stored(checkout, outputs)) == {}


def test_later_changes_of_the_checkout_change_nothing(checkout: Path, outputs: Path) -> None:
    kept = stored(checkout, outputs)
    (checkout / "inside/file").write_text("later")
    assert files(kept) == {"inside/file": "x"}
    assert not (kept / "inside/file").stat().st_mode & 0o222


def test_a_change_that_git_cannot_see_by_time_and_size_is_taken(checkout: Path, outputs: Path) -> None:
    index = checkout / ".git/index"
    for content in ("y", "z"):  # racily clean, in git's words
        (checkout / "inside/file").write_text(content)
        git(checkout, "add", ".")
        (checkout / "inside/file").write_text(content.upper())
        os.utime(checkout / "inside/file", ns=(index.stat().st_mtime_ns,) * 2)
        assert files(stored(checkout, outputs)) == {"inside/file": content.upper()}


def test_the_same_content_is_kept_once(checkout: Path, outputs: Path) -> None:
    first = stored(checkout, outputs)
    (checkout / "inside/file").write_text("other")
    assert stored(checkout, outputs) != first
    (checkout / "inside/file").write_text("x")
    assert stored(checkout, outputs) == first


def test_after_a_change_the_rest_takes_no_space(checkout: Path, outputs: Path) -> None:
    (checkout / "more").write_text("more")
    first = stored(checkout, outputs)
    (checkout / "inside/file").write_text("other")
    second = stored(checkout, outputs)
    assert (first / "more").samefile(second / "more")
    assert not (first / "inside/file").samefile(second / "inside/file")
    assert files(second) == {"inside/file": "other", "more": "more"}


def test_other_attributes_make_other_files_of_the_same_content(checkout: Path, outputs: Path) -> None:
    stored(checkout, outputs)
    (checkout / "inside/file").write_text("a\n")
    stored(checkout, outputs)
    (checkout / ".gitattributes").write_text("* text eol=crlf\n")
    assert (stored(checkout, outputs) / "inside/file").read_bytes() == b"a\r\n"


def test_what_git_ignores_is_linked_at_any_depth_but_not_bytecode(checkout: Path, outputs: Path) -> None:
    (checkout / ".gitignore").write_text("data/\n*.so\n__pycache__/\n*.pyc\n")
    for name in ("data/big.bin", "inside/built.so", "inside/__pycache__/a.pyc", "inside/b.pyc"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(name)
    kept = stored(checkout, outputs)
    assert everything(kept) == [".gitignore", "data", "inside", "inside/built.so", "inside/file"]
    assert (kept / "data").readlink() == checkout / "data"
    assert (kept / "inside/built.so").readlink() == checkout / "inside/built.so"
    (checkout / "inside/late.so").write_text("built since")
    assert (stored(checkout, outputs) / "inside/late.so").exists()


@pytest.mark.parametrize("ignored", ["", "/outputs/\n", "/o*\n"])
def test_the_outputs_are_left_out_where_they_lie_in_the_checkout(checkout: Path, outputs: Path, ignored: str) -> None:
    (checkout / ".gitignore").write_text(ignored)
    (checkout / "outputs/x").mkdir(parents=True)
    (checkout / "outputs/x/result").write_text("x")
    first = stored(checkout, checkout / "outputs")
    assert everything(first) == [".gitignore", "inside", "inside/file"]
    assert stored(checkout, checkout / "outputs") == first


def test_outputs_that_are_the_checkout_itself_leave_out_the_store(checkout: Path, outputs: Path) -> None:
    first = stored(checkout, checkout)
    assert everything(first) == ["inside", "inside/file"]
    assert stored(checkout, checkout) == first


def test_submodules_and_checkouts_inside_are_taken_with_their_changes(
    checkout: Path, outputs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    git(checkout, "submodule", "add", "-q", str(other), "third/party")
    shutil.copytree(other, checkout / "cloned")
    (checkout / "third/party/inside/file").write_text("changed in the submodule")
    first = stored(checkout, outputs)
    assert (first / "third/party/inside/file").read_text() == "changed in the submodule"
    assert (first / "cloned/inside/file").read_text() == "x"
    (checkout / "third/party/inside/file").write_text("changed again")
    second = stored(checkout, outputs)
    assert (second / "third/party/inside/file").read_text() == "changed again"
    assert (second / "cloned/inside/file").samefile(first / "cloned/inside/file")


def test_the_checkout_is_only_read(checkout: Path, outputs: Path) -> None:
    (checkout / "new").write_text("new")
    before = {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    stored(checkout, outputs)
    assert {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()} == before


def test_a_hook_that_calls_primus_does_not_mislead_git(
    checkout: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert files(stored(checkout, outputs)) == {"inside/file": "x"}


def test_nothing_half_made_stays_behind(checkout: Path, outputs: Path) -> None:
    stored(checkout, outputs)
    assert [p.name for p in (outputs / ".code").iterdir() if p.name.startswith(".")] == []


def test_untracked_data_is_refused_by_name(checkout: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST", 100)
    (checkout / "train.bin").write_bytes(bytes(101))
    with pytest.raises(BadRequest, match=r"would be copied: train.bin .*\.gitignore: it is linked then"):
        stored(checkout, outputs)
    (checkout / ".gitignore").write_text("*.bin\n")
    assert (stored(checkout, outputs) / "train.bin").is_symlink()


def test_what_git_says_is_passed_on(checkout: Path, outputs: Path) -> None:
    (checkout / ".git/index").write_bytes(b"broken")
    with pytest.raises(Unfit, match=r"git .* cannot freeze .*index file.* runtime.frozen=false"):
        stored(checkout, outputs)


def test_a_store_that_cannot_be_written_is_said(checkout: Path, outputs: Path) -> None:
    outputs.write_text("in its way")
    with pytest.raises(BadRequest, match=r"output.root: cannot keep the code in .*: Not a directory"):
        storing.take(place.here("cpu"), outputs)


def test_the_package_is_kept_whole_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, again = (storing.take(place.here("cpu"), tmp_path / "outputs") for _ in range(2))
    assert first == again
    assert first.source is None, "not in git"
    assert (first.primus / "node/__main__.py").read_bytes() == Path(frozen.__file__).parents[2].joinpath(
        "node/__main__.py"
    ).read_bytes()


def test_a_run_links_to_what_was_kept_and_may_be_moved_with_it(checkout: Path, outputs: Path, tmp_path: Path) -> None:
    os.chdir(checkout)
    kept = storing.take(place.here("cpu"), outputs)
    run = outputs / "experiment/run"
    for _ in range(2):  # a later start of the same run
        storing.link(kept, run)
    outputs.rename(tmp_path / "moved")
    assert (tmp_path / "moved/experiment/run/code/source/inside/file").read_text() == "x"
    assert (tmp_path / "moved/experiment/run/code/primus/node/agent.py").is_file()
    assert everything(tmp_path / "moved/experiment/run") == ["code", "code/primus", "code/source"]


def test_an_export_holds_the_frozen_code_and_not_what_git_ignored(
    checkout: Path, outputs: Path, tmp_path: Path
) -> None:
    (checkout / ".gitignore").write_text("data/\n")
    (checkout / "data").mkdir()
    os.chdir(checkout)
    storing.link(storing.take(place.here("cpu"), outputs), outputs / "x/run")
    archive.pack(outputs / "x/run", tmp_path / "run.tar.gz", everything=False)
    with tarfile.open(tmp_path / "run.tar.gz") as tar:
        names = tar.getnames()
    assert {"run/code/source/inside/file", "run/code/source/.gitignore", "run/code/primus/node/agent.py"} < {*names}
    assert not [name for name in names if "data" in name.split("/")[-1:] and "source" in name]
